"""The plan: what a flow will run, compiled to values that print. Nothing here reads, writes or calls."""
