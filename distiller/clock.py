"""Time of a run: seconds over all its continuations, and images per second of training alone."""

from __future__ import annotations

import time


class Clock:
    """Starts running when it is made.

    Args:
        seconds_before: of the run's earlier continuations.
    """

    def __init__(self, seconds_before: float) -> None:
        self._start = time.perf_counter() - seconds_before
        self._mark = time.perf_counter()
        self._busy, self._images = 0.0, 0

    def count(self, images: int) -> None:
        """Images of a finished step."""
        now = time.perf_counter()
        self._busy += now - self._mark
        self._mark = now
        self._images += images

    def skip(self) -> None:
        """What happened since the last count was no training."""
        self._mark = time.perf_counter()

    def rate(self) -> float:
        """Images per second since the last call."""
        rate = self._images / self._busy if self._busy > 0 else 0.0
        self._busy, self._images = 0.0, 0
        return rate

    def seconds(self) -> float:
        """Seconds of the run so far, those before an interruption included."""
        return time.perf_counter() - self._start
