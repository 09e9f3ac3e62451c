"""The sample format: build, read, write, index, verify and copy WebDataset shards.

The lowest package: it knows no teacher, no score and no engine. A shard is a tar; a sample is the
consecutive members that share a key; one way in (`reader.open_shard`) and one way out
(`writer.ShardWriter`). Places (local, S3, GCS, HTTP) are `storage`'s business alone.
"""

from shards.errors import (
    CoursepackError,
    ImageError,
    ImageStatus,
    ShardError,
    StorageError,
    UsageError,
)

__all__ = [
    "CoursepackError",
    "ImageError",
    "ImageStatus",
    "ShardError",
    "StorageError",
    "UsageError",
]
