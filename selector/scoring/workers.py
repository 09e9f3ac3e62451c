"""Threads that do all computing of a scorer: the model's batches first, decoding in between.

On a CPU the model and the decoders want the same cores. Splitting one batch over cores costs a
barrier per layer, which is ruinous as soon as a core is shared; so every thread runs whole batches
by itself, and there are no more threads than asked for. As a batch is always computed by one
thread, its numbers do not depend on how many there are.
"""

from __future__ import annotations

import enum
import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


class Urgency(enum.IntEnum):
    """Order in which waiting work is taken; equals in the order of their submission."""

    MODEL = 0  # frees a slot of the ring, and somebody waits for it
    DECODE = 1
    STOP = 2


class Workers:
    """A pool of threads, each of which computes with one core.

    Args:
        threads: how many.
        name: shown by debuggers.
    """

    def __init__(self, threads: int, *, name: str) -> None:
        self._work: queue.PriorityQueue[tuple[Urgency, int, Callable[[], None] | None]] = (
            queue.PriorityQueue()
        )
        self._order = itertools.count()
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return len(self._threads)

    def submit(
        self, urgency: Urgency, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Run `function(*args)` in one of the threads."""
        future: Future[T] = Future()

        def work() -> None:
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as error:
                # Whoever waits for the result raises it.
                future.set_exception(error)

        self._work.put((urgency, next(self._order), work))
        return future

    def close(self) -> None:
        """Finish what was submitted, end the threads."""
        for _ in self._threads:
            self._work.put((Urgency.STOP, next(self._order), None))
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        # OpenMP counts its threads per calling thread: without this each would bring a team.
        torch.set_num_threads(1)
        while True:
            _, _, work = self._work.get()
            if work is None:
                return
            work()
