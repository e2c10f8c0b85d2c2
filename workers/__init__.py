"""What runs on a node: opening models and image sets, turning a shard into rows."""
