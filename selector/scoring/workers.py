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
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, TypeVarTuple

import torch

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Urgency(enum.IntEnum):
    """Order in which waiting work is taken; equals in the order of their submission."""

    MODEL = 0  # frees a slot of the ring, and somebody waits for it
    REST = 1  # what a lane could not do of a batch that is due before all others
    DECODE = 2
    STOP = 3


@dataclass(frozen=True, eq=False)
class Work:
    """A call that waits to be made, and whoever waits for its result."""

    urgency: Urgency
    function: Callable[..., Any]
    args: tuple[Any, ...]
    future: Future[Any]

    def run(self) -> None:
        """Make the call; raises nothing."""
        try:
            self.future.set_result(self.function(*self.args))
        except BaseException as error:
            # Whoever waits for the result raises it.
            self.future.set_exception(error)


class Lane(Protocol):
    """One more thread that takes from the same queue, and does some kinds of work in its own way.

    Attributes:
        most: calls that it can do at once.
    """

    most: int

    def run(self, taken: list[Work], workers: Workers) -> None:
        """Do these; what it cannot do it submits to the workers as REST, and waits for nothing.

        Raises nothing; every future gets a result, now or later.
        """
        ...


class Workers:
    """A pool of threads, each of which computes with one core.

    Args:
        threads: how many.
        name: shown by debuggers.
        lane: does some of the work in a thread of its own, which does not count; None = none.
    """

    def __init__(self, threads: int, *, name: str, lane: Lane | None = None) -> None:
        self._work: queue.PriorityQueue[tuple[Urgency, int, Work | None]] = queue.PriorityQueue()
        self._order = itertools.count()
        self._num = threads
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        if lane is not None:
            self._threads.append(
                threading.Thread(target=self._run_lane, args=(lane,), name="lane", daemon=True)
            )
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return self._num

    def submit(self, urgency: Urgency, function: Callable[[*Ts], T], *args: *Ts) -> Future[T]:
        """Run `function(*args)` in one of the threads."""
        future: Future[T] = Future()
        self._put(Work(urgency, function, args, future))
        return future

    def _put(self, work: Work) -> None:
        self._work.put((work.urgency, next(self._order), work))

    def close(self) -> None:
        """Finish what was submitted, end the threads."""
        for _ in self._threads:
            self._work.put((Urgency.STOP, next(self._order), None))
        for thread in self._threads:
            thread.join()
        # A lane may have given something back when the others had ended.
        while not self._work.empty():
            _, _, work = self._work.get()
            if work is not None:
                work.run()

    def _run(self) -> None:
        # OpenMP counts its threads per calling thread: without this each would bring a team.
        torch.set_num_threads(1)
        while True:
            _, _, work = self._work.get()
            if work is None:
                return
            work.run()

    def _run_lane(self, lane: Lane) -> None:
        torch.set_num_threads(1)
        while True:
            _, _, work = self._work.get()
            if work is None:
                return
            if work.urgency != Urgency.DECODE:
                work.run()
                continue
            taken = [work]
            while len(taken) < lane.most:
                try:
                    urgency, order, more = self._work.get_nowait()
                except queue.Empty:
                    break
                if more is None or urgency != Urgency.DECODE:
                    self._work.put((urgency, order, more))
                    break
                taken.append(more)
            lane.run(taken, self)
