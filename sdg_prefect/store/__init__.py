"""The store: shards, checkpoints, the ledger, seeds and outputs, in a local folder or on S3."""
