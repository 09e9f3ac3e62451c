"""The hot path: one shard in, one part of the scores table out."""
