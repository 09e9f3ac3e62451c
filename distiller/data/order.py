"""In which order a run sees its images: a pure function of (seed, epoch).

The epochs' permutations laid end to end are one endless stream; step k takes positions
[k * batch, (k + 1) * batch) of it. So every image is seen once per epoch, no tail is dropped, a
batch may be larger than the set, and a resumed run needs the step number alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from distiller.randomness import Purpose, numpy_generator


def epoch_order(num_images: int, *, seed: int, epoch: int) -> np.ndarray:
    """The permutation of [0, num_images) of one epoch, (num_images,) int64."""
    return numpy_generator(seed, Purpose.ORDER, epoch).permutation(num_images)


def index_batches(
    num_images: int, *, batch_size: int, start: int, stop: int, seed: int
) -> Iterator[Tensor]:
    """Image indices of the steps start <= step < stop; each (batch_size,) int64.

    Raises:
        ValueError: there are no images.
    """
    if num_images < 1:
        raise ValueError("there are no images to put in order")
    epoch, order = -1, np.empty(0, dtype=np.int64)
    for step in range(start, stop):
        position, pieces, missing = step * batch_size, [], batch_size
        while missing:
            wanted_epoch, offset = divmod(position, num_images)
            if wanted_epoch != epoch:
                epoch, order = wanted_epoch, epoch_order(num_images, seed=seed, epoch=wanted_epoch)
            piece = order[offset : offset + missing]
            pieces.append(piece)
            position += len(piece)
            missing -= len(piece)
        yield torch.from_numpy(np.concatenate(pieces))


def sequential_batches(num_images: int, *, batch_size: int) -> Iterator[Tensor]:
    """All indices in order, each once; the last batch may be smaller."""
    yield from torch.arange(num_images).split(batch_size)
