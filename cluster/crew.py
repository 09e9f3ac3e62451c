"""Which worker has which tasks in hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from cluster.stage import Task

TASKS_IN_FLIGHT = 2
"""Per worker: one running and one waiting, so that no worker idles for a round trip."""


PLENTY = 8
"""Waiting tasks per worker: with more, it does not matter who has which; with fewer, it does."""


@dataclass
class Crew:
    """The tasks that each worker has in hand, oldest first.

    A worker joins when it is ready, not when it is asked for: on a crowded cluster it may have to
    wait for room, and tasks given to it would wait as well while others idle.
    """

    tasks: dict[int, deque[Task]] = field(default_factory=dict)
    starting: set[int] = field(default_factory=set)
    _free: dict[int, None] = field(default_factory=dict)  # an ordered set: longest idle first
    _spare: dict[int, None] = field(default_factory=dict)  # those that have one task
    in_hand: int = 0

    def join(self, worker: int) -> None:
        """A worker is ready."""
        self.starting.discard(worker)
        self.tasks[worker] = deque()
        self._free[worker] = None

    def leave(self, worker: int) -> deque[Task]:
        """A worker is gone: what it had in hand."""
        self.starting.discard(worker)
        self._free.pop(worker, None)
        self._spare.pop(worker, None)
        tasks = self.tasks.pop(worker, deque())
        self.in_hand -= len(tasks)
        return tasks

    def next_for(self, waiting: int) -> int | None:
        """The worker that should get one of `waiting` tasks, if any.

        An idle one first. A second task is given in advance only while there are plenty: near the
        end of a run none may wait behind another, least of all a large one, while a worker idles
        or is about to start.
        """
        if self._free:
            return next(iter(self._free))
        if self._spare and waiting > PLENTY * self.size:
            return next(iter(self._spare))
        return None

    def give(self, worker: int, task: Task) -> bool:
        """Note that it has `task` now; True if it can begin at once."""
        held = self.tasks[worker]
        held.append(task)
        self.in_hand += 1
        self._place(worker)
        return len(held) == 1

    def take_back(self, worker: int, name: str | None = None) -> Task:
        """A task of this worker ended: the one called `name`, else its oldest."""
        held = self.tasks[worker]
        position = 0
        if name is not None:
            position = next((at for at, task in enumerate(held) if task.name == name), 0)
        task = held[position]
        del held[position]
        self.in_hand -= 1
        self._place(worker)
        return task

    def oldest(self, worker: int) -> Task | None:
        """What it works on."""
        held = self.tasks.get(worker)
        return held[0] if held else None

    @property
    def size(self) -> int:
        """Workers, those that are starting included."""
        return len(self.tasks) + len(self.starting)

    def working(self) -> Iterator[tuple[int, Task]]:
        """(worker, what it works on)."""
        for worker, held in self.tasks.items():
            if held:
                yield worker, held[0]

    def _place(self, worker: int) -> None:
        self._free.pop(worker, None)
        self._spare.pop(worker, None)
        count = len(self.tasks[worker])
        if count == 0:
            self._free[worker] = None
        elif count < TASKS_IN_FLIGHT:
            self._spare[worker] = None
