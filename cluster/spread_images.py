"""Images from all over a pool, as a teacher sees them, read in this process.

They are the beginnings of shards spread evenly over the pool: no shard is walked to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from selector.teachers.input_pixels import input_pixels
from selector.teachers.preprocess import Preprocessing
from shards import storage
from shards.errors import ImageError, ShardError, UsageError
from shards.limits import DecodeLimits
from shards.reader import ShardReader, open_shard

T = TypeVar("T")

SHARDS = 32
_TRIED = 4
"""Samples looked at for each image that a shard should give."""


@dataclass(frozen=True, eq=False)
class SpreadImages:
    """What was read.

    Attributes:
        pixels_NCHW: uint8 (N, C, S, S), in order of shards and samples.
        shards: that gave them.
        skipped: samples without an image that can be used.
    """

    pixels_NCHW: Tensor
    shards: int
    skipped: int


def read_spread(
    pool: Sequence[str],
    preprocessing: Preprocessing,
    *,
    num_images: int,
    least: int,
    image_ext: Sequence[str],
    limits: DecodeLimits,
    say: Callable[[str], None],
) -> SpreadImages:
    """Read up to `num_images` images from up to 32 shards; what one lacks, the next ones give.

    Args:
        least: images without which nothing can be done.
        image_ext: which member of a sample is its image, in order of preference.
        say: told of shards that cannot be read.

    Raises:
        UsageError: fewer than `least` images can be used.
        StorageError: the pool cannot be read.
    """
    listing = storage.expand(list(pool))
    chosen = evenly_spread(listing, SHARDS)
    count = len(chosen)
    pixels: list[np.ndarray] = []
    skipped = shards = 0
    for number, info in enumerate(chosen):
        wanted = -(-(num_images - len(pixels)) // (count - number))
        before = len(pixels)
        try:
            with open_shard(info.uri) as shard:
                skipped += _read_shard(
                    shard, preprocessing, pixels,
                    wanted=wanted, image_ext=image_ext, limits=limits,
                )  # fmt: skip
        except ShardError as error:
            say(f"left out: {error}")
        shards += len(pixels) > before
    if len(pixels) < least:
        raise UsageError(
            f"the pool gives {len(pixels)} images that can be used ({skipped} cannot), from "
            f"{count} of {len(listing)} shards; at least {least} are needed: name more shards"
        )
    return SpreadImages(torch.from_numpy(np.stack(pixels)), shards, skipped)


def evenly_spread(items: Sequence[T], most: int) -> list[T]:
    """Up to `most` of the items, evenly spread over them, the first always among them."""
    count = min(most, len(items))
    return [items[len(items) * i // count] for i in range(count)]


def _read_shard(
    shard: ShardReader,
    preprocessing: Preprocessing,
    pixels: list[np.ndarray],
    *,
    wanted: int,
    image_ext: Sequence[str],
    limits: DecodeLimits,
) -> int:
    """Append up to `wanted` images of a shard; returns how many samples had none to use."""
    skipped, end = 0, len(pixels) + wanted
    for sample in shard.samples(stop=_TRIED * wanted):
        if len(pixels) == end:
            break
        found = None if sample.error else sample.image(image_ext)
        if found is None:
            skipped += 1
            continue
        try:
            pixels.append(input_pixels(found[1], preprocessing, limits=limits))
        except ImageError:
            skipped += 1
    return skipped
