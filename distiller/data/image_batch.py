"""What flows from the data to the trainer: a batch, and the promise of whoever makes batches.

Legend: B = images in a batch, C = channels, S = height = width in pixels.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import NamedTuple, Protocol

from torch import Tensor

from distiller.data.bad_images import BadImages
from distiller.data.order import sequential_batches


class ImageBatch(NamedTuple):
    """Images on their way to the model."""

    indices_B: Tensor
    """(B,) int64 on the CPU: which images these are, after bad ones gave up their turn."""

    images_BCSS: Tensor
    """(B, C, S, S) uint8 on the run's device, resized and cropped, not yet normalised."""


class ImageSet(Protocol):
    """Images by index, in [0, num_images).

    An image that cannot be decoded gives its turn to the next one that can, whichever way the
    pixels come: so the batches of a run do not hang on the memory it is given.
    """

    @property
    def num_images(self) -> int:
        """Images of the set, undecodable ones included."""
        ...

    @property
    def bad(self) -> BadImages:
        """What could not be used so far."""
        ...

    def batches(self, index_batches: Iterable[Tensor]) -> Generator[ImageBatch, None, None]:
        """One batch per (B,) int64 tensor of indices, in the same order.

        Raises:
            CoursepackError: more images are unusable than the budget allows.
        """
        ...


def each_once(images: ImageSet, *, batch_size: int) -> Iterator[ImageBatch]:
    """Every decodable image of a set exactly once, in order; batches may be smaller.

    A stand-in for an undecodable image would count another image twice, so it is dropped.
    """
    asked = list(sequential_batches(images.num_images, batch_size=batch_size))
    for asked_B, batch in zip(asked, images.batches(asked), strict=True):
        itself_B = batch.indices_B == asked_B
        if bool(itself_B.all()):
            yield batch
        elif bool(itself_B.any()):
            kept_B = itself_B.to(batch.images_BCSS.device)
            yield ImageBatch(asked_B[itself_B], batch.images_BCSS[kept_B])
