"""Training and evaluation images: from shards to uint8 batches in a reproducible order."""
