"""One pass over the shards of an index, in order: how a whole set is read, compressed or not."""

from __future__ import annotations

from collections.abc import Iterator

from distiller.data.image_index import ImageIndex
from shards.errors import ShardError
from shards.reader import open_shard
from shards.sample import Data, Sample


def indexed_samples(index: ImageIndex) -> Iterator[tuple[int, Sample]]:
    """Each image's number in the index with its sample; bytes of local shards are views.

    Raises:
        ShardError: the shards are not what they were when they were indexed.
    """
    image = 0
    for position, info in enumerate(index.shards):
        with open_shard(info.uri) as reader:
            for sample in reader.samples():
                if image == len(index) or index.shard_N[image] != position:
                    break
                if index.sample_N[image] == sample.entry.index:
                    yield image, sample
                    image += 1
    if image != len(index):
        raise ShardError(
            f"{index.describe(image)} is no longer where it was a moment ago: the shards are "
            "being changed; wait until they are complete and run again",
            shard=index.shards[index.shard_N[image]].uri,
        )


def member_data(sample: Sample, offset: int) -> Data:
    """Bytes of the member whose data starts at `offset`."""
    for member, data in zip(sample.entry.members, sample.data, strict=True):
        if member.offset == offset:
            return data
    raise ShardError(
        f"sample {sample.entry.key!r} has no member at byte {offset}: its shard changed while it "
        "was in use; run the command again",
        shard="",
    )
