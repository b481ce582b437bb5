"""Flow files: read, validated against the real blocks, and with every problem placed."""
