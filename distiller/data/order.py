"""In which order a run sees its images: a pure function of (seed, epoch).

The epochs' permutations laid end to end are one endless stream; step k takes positions
[k * batch, (k + 1) * batch) of it. So every image is seen once per epoch, no tail is dropped, a
batch may be larger than the set, and a resumed run needs the step number alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from distiller.randomness import Purpose, numpy_generator


def epoch_order(
    num_images: int, *, seed: int, epoch: int, purpose: Purpose = Purpose.ORDER
) -> np.ndarray:
    """The permutation of [0, num_images) of one epoch, (num_images,) int64."""
    return numpy_generator(seed, purpose, epoch).permutation(num_images)


class _Stream:
    """Permutations laid end to end; keeps the one it is in."""

    def __init__(self, num_images: int, seed: int, purpose: Purpose) -> None:
        self._num_images, self._seed, self._purpose = num_images, seed, purpose
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def take(self, position: int, count: int) -> np.ndarray:
        """(count,) int64 from `position` on."""
        pieces = [np.empty(0, dtype=np.int64)]
        while count:
            epoch, offset = divmod(position, self._num_images)
            if epoch != self._epoch:
                order = epoch_order(
                    self._num_images, seed=self._seed, epoch=epoch, purpose=self._purpose
                )
                self._epoch, self._order = epoch, order
            piece = self._order[offset : offset + count]
            pieces.append(piece)
            position += len(piece)
            count -= len(piece)
        return np.concatenate(pieces)


def index_batches(
    num_images: int, *, batch_size: int, start: int, stop: int, seed: int
) -> Iterator[Tensor]:
    """Image indices of the steps start <= step < stop; each (batch_size,) int64.

    Raises:
        ValueError: there are no images.
    """
    if num_images < 1:
        raise ValueError("there are no images to put in order")
    stream = _Stream(num_images, seed, Purpose.ORDER)
    for step in range(start, stop):
        yield torch.from_numpy(stream.take(step * batch_size, batch_size))


def mixed_batches(
    num_pool: int,
    num_labelled: int,
    *,
    labelled_share: float,
    batch_size: int,
    start: int,
    stop: int,
    seed: int,
) -> Iterator[Tensor]:
    """Image indices of steps where labelled images make up a given share of all images seen.

    Two endless streams, one over the pool's images [0, num_pool) and one over the labelled ones
    [num_pool, num_pool + num_labelled), each in epochs of its own. After k steps the labelled
    stream has given floor(k * batch * share) images, so the share holds exactly, to the image,
    over any number of steps, and a step's batch is known from its number alone. In a batch the
    pool's images come first.

    Raises:
        ValueError: one of the sets is empty.
    """
    if min(num_pool, num_labelled) < 1:
        raise ValueError(f"{num_pool} pool and {num_labelled} labelled images: both are needed")
    share = Fraction(str(labelled_share))  # a tenth is a tenth, not its float
    pool = _Stream(num_pool, seed, Purpose.ORDER)
    labelled = _Stream(num_labelled, seed, Purpose.LABELLED_ORDER)
    for step in range(start, stop):
        begin = int(step * batch_size * share)
        count = int((step + 1) * batch_size * share) - begin
        yield torch.from_numpy(
            np.concatenate(
                [
                    pool.take(step * batch_size - begin, batch_size - count),
                    num_pool + labelled.take(begin, count),
                ]
            )
        )


def sequential_batches(num_images: int, *, batch_size: int) -> Iterator[Tensor]:
    """All indices in order, each once; the last batch may be smaller."""
    yield from torch.arange(num_images).split(batch_size)
