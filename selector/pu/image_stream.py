"""Images of a pool in random order, as a network's input; a buffer of encoded ones is all it holds.

Every epoch goes through the shards in a new random order. Encoded images wait in a buffer, from
which a random one is drawn and decoded when it is its turn, so that a shard that is one domain does
not become a run of like batches. Images that fail are passed over: their rows say why.

Legend: C channels, S side of the network's input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from selector.scoring.spec import ScoreSpec
from selector.tables.schema import row_id
from selector.teachers.input_pixels import input_pixels
from selector.teachers.preprocess import Preprocessing
from shards.errors import ImageError, UsageError
from shards.reader import open_shard

BUFFER_IMAGES = 8192
_SIDE_BY_SIDE = 4

Pixels = npt.NDArray[np.uint8]


def to_input(data: bytes, spec: ScoreSpec, preprocessing: Preprocessing) -> Pixels:
    """One encoded image as the network's uint8 input (C, S, S), as scoring makes it.

    Raises:
        ImageError: it cannot be decoded, or breaks a limit.
    """
    return input_pixels(data, preprocessing, limits=spec.limits)


def image_batches(
    shards: Sequence[tuple[int, str]],
    size: int,
    *,
    spec: ScoreSpec,
    preprocessing: Preprocessing,
    skip: Callable[[int], bool],
    seed: int,
    buffer_images: int = BUFFER_IMAGES,
) -> Iterator[Tensor]:
    """uint8 batches (size, C, S, S) without end; the same for the same seed.

    Args:
        shards: shard_id and URI of each.
        skip: row_id -> whether it is left out.

    Raises:
        UsageError: a whole epoch holds no image that can be used.
        StorageError, ShardError: a shard cannot be read.
    """
    batch: list[Pixels] = []
    epoch = 0
    while True:
        rng = np.random.default_rng([seed, 6, epoch])
        found = 0
        for data in _shuffled(_encoded(shards, spec, skip, rng), buffer_images, rng):
            try:
                batch.append(to_input(data, spec, preprocessing))
            except ImageError:
                continue
            found += 1
            if len(batch) == size:
                yield torch.from_numpy(np.stack(batch))
                batch.clear()
        if not found:
            raise UsageError("the pool holds no image that can be decoded and is not held out")
        epoch += 1


def _encoded(
    shards: Sequence[tuple[int, str]],
    spec: ScoreSpec,
    skip: Callable[[int], bool],
    rng: np.random.Generator,
) -> Iterator[bytes]:
    """Images of all shards in random order, a few shards in turn."""
    waiting = [shards[i] for i in rng.permutation(len(shards))]
    turns = [_of_shard(shard, spec, skip) for shard in waiting[:_SIDE_BY_SIDE]]
    waiting = waiting[_SIDE_BY_SIDE:]
    while turns:
        reader = turns.pop(0)
        data = next(reader, None)
        if data is not None:
            yield data
            turns.append(reader)
        elif waiting:
            turns.append(_of_shard(waiting.pop(0), spec, skip))


def _of_shard(
    shard: tuple[int, str], spec: ScoreSpec, skip: Callable[[int], bool]
) -> Iterator[bytes]:
    first = row_id(shard[0], 0)
    with open_shard(shard[1]) as reader:
        for sample in reader.samples():
            image = sample.image(spec.image_extensions) if sample.error is None else None
            if image is not None and not skip(first + sample.entry.index):
                yield bytes(image[1])


def _shuffled(
    items: Iterator[bytes], buffer_images: int, rng: np.random.Generator
) -> Iterator[bytes]:
    buffer: list[bytes] = []
    for item in items:
        if len(buffer) < buffer_images:
            buffer.append(item)
            continue
        place = int(rng.integers(buffer_images))
        yield buffer[place]
        buffer[place] = item
    for place in rng.permutation(len(buffer)).tolist():
        yield buffer[place]


def images_of_rows(
    shards: Sequence[tuple[int, str]],
    row_ids: npt.NDArray[np.int64],
    *,
    spec: ScoreSpec,
    preprocessing: Preprocessing,
) -> Tensor:
    """uint8 (n, C, S, S) of some rows, those that can be decoded, in order of row_id."""
    wanted = set(row_ids.tolist())
    found: list[Pixels] = []
    for shard in sorted(shards):
        if not any(row >> 32 == shard[0] for row in wanted):
            continue
        for data in _of_shard(shard, spec, lambda row: row not in wanted):
            try:
                found.append(to_input(data, spec, preprocessing))
            except ImageError:
                continue
    empty = np.empty((0, *preprocessing.input_size), np.uint8)
    return torch.from_numpy(np.stack(found) if found else empty)
