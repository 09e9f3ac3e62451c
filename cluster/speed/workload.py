"""What is measured on: the first images of a pool, as parts to score and as samples in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selector.scoring.task import ScoreTask
from shards import storage
from shards.errors import UsageError
from shards.manifest import ShardEntry
from shards.reader import open_shard
from shards.sample import Sample

LEAST_IMAGES = 64


@dataclass(frozen=True)
class Slice:
    """Samples [0, stop) of a shard, and the bytes of the tar up to there."""

    entry: ShardEntry
    stop: int
    num_bytes: int


@dataclass(frozen=True, eq=False)
class Workload:
    """Images to measure on.

    Attributes:
        slices: where they lie, in order.
        samples: the same, their bytes in memory.
    """

    slices: tuple[Slice, ...]
    samples: tuple[Sample, ...]

    @property
    def num_images(self) -> int:
        return len(self.samples)

    @property
    def num_bytes(self) -> int:
        """Bytes of tar that hold them."""
        return sum(one.num_bytes for one in self.slices)

    def tasks(self, run: str) -> list[ScoreTask]:
        """Parts that score them into a run."""
        return [ScoreTask(shard=one.entry, stop=one.stop, run=run) for one in self.slices]


def read_workload(pool: Sequence[str], *, num_images: int) -> Workload:
    """The first `num_images` samples of a pool, read into memory.

    Raises:
        UsageError: fewer than 64 samples in all: nothing could be measured on them.
        ShardError, StorageError: a shard cannot be read.
    """
    slices: list[Slice] = []
    samples: list[Sample] = []
    for number, info in enumerate(storage.expand(list(pool))):
        wanted = num_images - len(samples)
        if wanted <= 0:
            break
        entry = ShardEntry(number, info.uri, info.num_bytes, info.etag)
        with open_shard(info.uri) as shard:
            found = [_in_memory(sample) for sample in shard.samples(stop=wanted)]
            compressed = shard.compressed
        if not found:
            continue
        last = found[-1].entry.members[-1]
        end = info.num_bytes if compressed else min(info.num_bytes, last.offset + last.size)
        slices.append(Slice(entry, len(found), end))
        samples += found
    if len(samples) < LEAST_IMAGES:
        raise UsageError(
            f"the pool has {len(samples)} samples; a bench needs at least {LEAST_IMAGES}"
        )
    return Workload(tuple(slices), tuple(samples))


def _in_memory(sample: Sample) -> Sample:
    return Sample(sample.entry, tuple(bytes(data) for data in sample.data), sample.error)
