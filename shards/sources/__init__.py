"""What shards are built from: each module turns one kind of input into a `Source` of samples."""
