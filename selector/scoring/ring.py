"""The ring: a fixed number of batches in memory, which is what keeps a shard of any size small.

The reader takes a free slot before it reads the samples of a batch, the decode threads fill its
pixels, the model empties it and gives it back. Whoever is ahead waits; nothing else holds anyone
back, and nothing grows.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from selector.scoring.rows import RowBatch

T = TypeVar("T")


@dataclass(eq=False)
class Slot(Generic[T]):
    """Memory of one batch.

    Attributes:
        crops: of every image, the teacher's own first: each uint8 (batch_size, C, S, S), channels
            last in memory; always run as a whole.
        pixels_KNHWC: the same memory, for the decode threads.
        rows: what is known of the images; new for every batch, because it travels on.
        jobs: decoding work that has to end before the batch is whole.
    """

    crops: tuple[Tensor, ...]
    pixels_KNHWC: npt.NDArray[np.uint8]
    rows: RowBatch = field(default_factory=RowBatch)
    jobs: list[Future[T]] = field(default_factory=list)

    @property
    def batch_NCHW(self) -> Tensor:
        """The teacher's own view of every image."""
        return self.crops[0]

    @property
    def pixels_NHWC(self) -> npt.NDArray[np.uint8]:
        """The same memory, for the decode threads."""
        return self.pixels_KNHWC[0]

    def begin(self) -> None:
        """Forget the batch before."""
        self.rows = RowBatch()
        self.jobs = []

    def pad(self) -> None:
        """Zero the slots behind the last row: a batch never holds pixels of an earlier one."""
        self.blank(slice(len(self.rows), None))

    def blank(self, rows: int | list[int] | slice) -> None:
        """Zero the pixels of these rows, in every crop."""
        self.pixels_KNHWC[:, rows] = 0

    @property
    def size(self) -> int:
        """Rows that there is room for."""
        return self.pixels_KNHWC.shape[1]

    @property
    def is_full(self) -> bool:
        return len(self.rows) == self.size


def make_slot(
    batch_size: int, input_size: tuple[int, int, int], *, crops: int = 1, pinned: bool = False
) -> Slot[Any]:
    """A slot of zeros: crops * batch_size * C * S * S bytes."""
    channels, height, width = input_size
    memory = torch.zeros(
        (crops, batch_size, height, width, channels), dtype=torch.uint8, pin_memory=pinned
    )
    return Slot(tuple(one.permute(0, 3, 1, 2) for one in memory), memory.numpy())


class Ring(Generic[T]):
    """Slots, handed out and taken back.

    Args:
        num_slots: batches in memory. Three more than run in the model at once: one being decoded,
            one being read, one to even out uneven images.
        batch_size: rows of a slot.
        input_size: (C, S, S).
        crops: of every image; each takes the memory of a batch.
        pinned: page-locked memory, for copies to a GPU.
    """

    def __init__(
        self,
        *,
        num_slots: int,
        batch_size: int,
        input_size: tuple[int, int, int],
        crops: int = 1,
        pinned: bool = False,
    ) -> None:
        self._slots: list[Slot[T]] = [
            make_slot(batch_size, input_size, crops=crops, pinned=pinned) for _ in range(num_slots)
        ]
        self._free: queue.SimpleQueue[Slot[T] | None] = queue.SimpleQueue()
        self.restore()

    def take(self) -> Slot[T] | None:
        """Wait for a free slot, begun anew; None once the ring has been closed."""
        slot = self._free.get()
        if slot is not None:
            slot.begin()
        return slot

    def give_back(self, slot: Slot[T]) -> None:
        """The model is done with the pixels."""
        self._free.put(slot)

    def close(self) -> None:
        """Wake whoever waits for a slot, with None."""
        self._free.put(None)

    def restore(self) -> None:
        """All slots free again; only while no thread works on any."""
        self._free = queue.SimpleQueue()
        for slot in self._slots:
            self._free.put(slot)

    def __iter__(self) -> Iterator[Slot[T]]:
        return iter(self._slots)
