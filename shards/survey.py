"""Dividing a large shard by sample index: where each piece begins, found in one walk over it.

A local tar is not read but for its headers; a remote one is streamed once. Compressed shards have
no random access and are never divided.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from shards.reader import is_compressed, open_shard

_BLOCK = 512


@dataclass(frozen=True)
class Survey:
    """How a shard is divided.

    Attributes:
        step: Samples of every piece but the last; a multiple of the batch size.
        offsets: Where piece k, which begins with sample k * step, begins in the tar.
        num_samples: In all.
        problems: Kind -> count, of the whole shard.
    """

    step: int
    offsets: tuple[int, ...]
    num_samples: int
    problems: dict[str, int]


def pieces_by_size(uri: str, num_bytes: int, split_bytes: int) -> int:
    """How many pieces a shard is worth: a function of its name, its size and one number alone.

    Args:
        split_bytes: What is larger is divided into pieces of about this size; 0 = never.
    """
    if split_bytes <= 0 or num_bytes <= split_bytes or is_compressed(uri):
        return 1
    return -(-num_bytes // split_bytes)


def survey_shard(uri: str, *, pieces: int, multiple: int) -> Survey:
    """Divide a shard into about `pieces` pieces of the same number of samples.

    Args:
        multiple: Every piece begins at a multiple of it.

    Raises:
        ShardError: no tar. One that is damaged further in is divided as far as it can be read.
        StorageError: it cannot be read.
    """
    ends = [0]  # at every multiple-th sample: where the members before it end
    end = count = 0
    with open_shard(uri) as shard:
        for sample in shard.samples():
            if count and count % multiple == 0:
                ends.append(end)
            for member in sample.entry.members:
                end = max(end, member.offset + member.size)
            count += 1
        problems = Counter(problem.kind for problem in shard.problems)
    strides = max(1, -(-count // (pieces * multiple)))
    offsets = tuple(-(-place // _BLOCK) * _BLOCK for place in ends[::strides])
    return Survey(strides * multiple, offsets, count, dict(problems))
