"""Tasks that are still to be given out: largest first, some not before a while, each with its past.

Holds names, sizes and counts; a hundred thousand tasks are some tens of megabytes.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterable

from cluster.retry import Failure, allowed_tries, pause_s
from cluster.stage import Task


class Backlog:
    """A queue of tasks by size, and how often each has failed."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._order = itertools.count()
        self._waiting = [self._entry(task) for task in tasks]
        heapq.heapify(self._waiting)
        self._paused: list[tuple[float, int, Task]] = []
        self._failures: dict[str, Counter[str]] = {}

    def __len__(self) -> int:
        """Tasks to be given out, those that pause included."""
        return len(self._waiting) + len(self._paused)

    def add(self, task: Task) -> None:
        """A new task, or one that nobody began."""
        heapq.heappush(self._waiting, self._entry(task))

    def ready(self, now: float) -> int:
        """How many may be given out now."""
        while self._paused and self._paused[0][0] <= now:
            self.add(heapq.heappop(self._paused)[2])
        return len(self._waiting)

    def take(self) -> Task:
        """The largest of them."""
        return heapq.heappop(self._waiting)[3]

    def failed(self, task: Task, failure: Failure, now: float) -> tuple[int, bool]:
        """A try of `task` failed: (tries so far, whether it has another one).

        Tries are counted apart by what they can be blamed on; the sum is told.
        """
        past = self._failures.setdefault(task.name, Counter())
        blame = "storage" if failure.transient else failure.kind
        group = blame if blame in ("storage", "NodeLost") else "task"
        past[group] += 1
        if past[group] >= allowed_tries(failure):
            return self._failures.pop(task.name).total(), False
        pause = pause_s(failure, past[group])
        if pause:
            heapq.heappush(self._paused, (now + pause, next(self._order), task))
        else:
            self.again(task)
        return past.total(), True

    def again(self, task: Task) -> None:
        """To the end of the queue: whatever a task that failed once holds up, others go first."""
        heapq.heappush(self._waiting, (1, 0, next(self._order), task))

    def finished(self, task: Task) -> None:
        """Forget its past."""
        self._failures.pop(task.name, None)

    def next_pause_ends(self) -> float | None:
        """When the first pausing task may be given out; None if none pauses."""
        return self._paused[0][0] if self._paused else None

    def _entry(self, task: Task) -> tuple[int, int, int, Task]:
        # Equal sizes in the order in which they came: that of the pool.
        return (0, -task.num_bytes, next(self._order), task)
