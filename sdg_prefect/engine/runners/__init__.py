"""Where blocks are at work: in threads of the run, or on the workers of a cluster."""
