"""Batches in pieces that the memory of a device holds: halved when it is full, and remembered.

How much a pass needs depends on the network, the compiler and whoever else uses the GPU; nobody can
tell before. So the first batch that does not fit is run in halves, and so is every batch after it:
to ask again for what was refused would cost a failed pass each time.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from selector.teachers.out_of_memory import is_out_of_memory
from shards.errors import CoursepackError

Pass = Callable[[Sequence[Tensor]], list[Tensor]]
"""Crops of a batch, each (N, C, S, S), to tensors (N, ...)."""


class FittingBatches:
    """Calls a pass on as much of a batch as fits. Safe to be called by several threads at once.

    Args:
        on_halved: told the new number of images, before anything is run with it.
        device: named when not even one image fits.

    Attributes:
        size: images that a piece has at most; None = no batch was ever refused.
    """

    def __init__(self, on_halved: Callable[[int], None], *, device: str) -> None:
        self.size: int | None = None
        self._on_halved = on_halved
        self._device = device
        self._lock = threading.Lock()
        self._untold: list[int] = []

    def run(self, one_pass: Pass, crops: Sequence[Tensor]) -> list[Tensor]:
        """The pass on all images, in order; as a whole where nothing was ever refused.

        Raises:
            CoursepackError: the memory of the device does not hold a single image.
        """
        done: list[list[Tensor]] = []
        begin, end = 0, len(crops[0])
        while begin < end:
            limit = self.size or end
            pieces = [batch_NCHW[begin : begin + limit] for batch_NCHW in crops]
            refused = ""
            try:
                done.append(one_pass(pieces))
                begin += len(pieces[0])
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                refused = str(error).splitlines()[0]
            if refused:
                # Only out here are the frames of the failed pass gone, and their tensors with them.
                self._halve(limit, refused)
        if len(done) == 1:
            return done[0]
        return [torch.cat(column) for column in zip(*done, strict=True)]

    def take_halvings(self) -> list[int]:
        """Sizes that batches were halved to since the last call, in order."""
        with self._lock:
            untold, self._untold = self._untold, []
            return untold

    def _halve(self, limit: int, reason: str) -> None:
        """After a piece was refused when pieces had at most `limit` images."""
        if torch.cuda.is_initialized():
            gc.collect()  # an exception and the frames that it went through may hold each other
            torch.cuda.empty_cache()
        with self._lock:
            if self.size is not None and self.size < limit:
                return  # another thread has been here meanwhile
            if limit == 1:
                raise CoursepackError(
                    f"{self._device} has no memory for the pass of a single image ({reason}): end "
                    "what else uses it (nvidia-smi lists it), score with --device cpu, or take a "
                    "teacher of a smaller input"
                )
            self.size = (limit + 1) // 2
            self._untold.append(self.size)
            self._on_halved(self.size)
