"""The scheduling loop, once, for every kind of worker: feed, collect, replace the dead, quarantine.

The loop holds names, paths and counters only. How workers are started and talked to is the
business of a `WorkerPool`: local processes, Ray actors, or this very process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cluster.retry import Failure
from cluster.stage import Task, TaskResult
from shards.errors import CoursepackError

MAX_TRIES = 3
"""A task that failed, or took its worker down, this often is quarantined."""

TASKS_IN_FLIGHT = 2
"""Per worker: one running and one waiting, so that no worker idles for a round trip."""


@dataclass(frozen=True)
class Ready:
    """A started worker has opened its stage and takes tasks from now on."""

    worker: int


@dataclass(frozen=True)
class Waiting:
    """Nothing happened for a while, and why; for the log."""

    reason: str


@dataclass(frozen=True)
class Done:
    """A worker finished the oldest of its tasks."""

    worker: int
    result: TaskResult


@dataclass(frozen=True)
class Raised:
    """The oldest task of a worker raised."""

    worker: int
    failure: Failure


@dataclass(frozen=True)
class CannotOpen:
    """A worker could not open the stage: no other could."""

    worker: int
    failure: Failure


@dataclass(frozen=True)
class Died:
    """A worker is gone, together with whatever it was doing."""

    worker: int
    reason: str


PoolEvent = Ready | Waiting | Done | Raised | CannotOpen | Died


class WorkerPool(Protocol):
    """Workers by number. Each runs the tasks submitted to it one after the other, in order."""

    def start(self) -> int:
        """Start a worker; a `Ready` follows once it is there, which may take its time."""
        ...

    def submit(self, worker: int, task: Task) -> None: ...

    def wait(self) -> PoolEvent:
        """Block until something happened to any worker."""
        ...

    def close(self) -> None:
        """Stop every worker at once; tasks that were running are lost and harmless."""
        ...


@dataclass(frozen=True)
class Finished:
    """Outcome of a task: its outputs are in place."""

    task: Task
    result: TaskResult


@dataclass(frozen=True)
class Quarantined:
    """Outcome of a task that cannot be done: why, and after how many tries."""

    task: Task
    failure: Failure
    tries: int


@dataclass(frozen=True)
class Repeated:
    """Not an outcome: a task goes round again, and why. For the log."""

    task: Task
    failure: Failure
    tries: int


Outcome = Finished | Quarantined | Repeated | Waiting


class RunAborted(CoursepackError):
    """A failure that every task would share: wrong weights, wrong configuration, disk full."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.exit_code = 2 if failure.kind == "UsageError" else 1


@dataclass
class _Crew:
    """The tasks that each worker has in hand, oldest first.

    A worker joins when it is ready, not when it is asked for: on a crowded cluster it may have to
    wait for room, and tasks given to it would wait as well while others idle.
    """

    tasks: dict[int, deque[Task]] = field(default_factory=dict)

    starting: set[int] = field(default_factory=set)

    def idlest(self, waiting: int) -> int | None:
        """The worker with the shortest queue that may take one of `waiting` tasks, if any.

        One task is kept back for each worker that is still starting: a few shards must not all
        queue behind the first worker that is ready.
        """
        worker = min(self.tasks, key=lambda number: len(self.tasks[number]), default=None)
        if worker is None or len(self.tasks[worker]) >= TASKS_IN_FLIGHT:
            return None
        return None if self.tasks[worker] and waiting <= len(self.starting) else worker

    @property
    def busy(self) -> bool:
        return any(self.tasks.values())


def dispatch(pool: WorkerPool, tasks: Sequence[Task], *, workers: int) -> Iterator[Outcome]:
    """Run every task on `workers` workers, largest first, and yield what became of each.

    Raises:
        RunAborted: for a failure that every task would share; what is done stays done.
    """
    waiting = deque(sorted(tasks, key=lambda task: (-task.num_bytes, task.name)))
    tries: dict[str, int] = {}
    crew = _Crew()
    idle_deaths = 0
    for _ in range(min(workers, len(waiting))):
        crew.starting.add(pool.start())
    while waiting or crew.busy:
        while waiting and (worker := crew.idlest(len(waiting))) is not None:
            crew.tasks[worker].append(task := waiting.popleft())
            pool.submit(worker, task)
        event = pool.wait()
        if isinstance(event, Ready):
            crew.starting.discard(event.worker)
            crew.tasks[event.worker] = deque()
            continue
        if isinstance(event, Waiting):
            yield event
            continue
        if isinstance(event, CannotOpen):
            raise RunAborted(event.failure)
        if isinstance(event, Done):
            idle_deaths = 0
            yield Finished(crew.tasks[event.worker].popleft(), event.result)
            continue
        if isinstance(event, Died):
            crew.starting.discard(event.worker)
            in_hand = crew.tasks.pop(event.worker, deque())
            # A task that kills its worker is counted below; a worker that dies without any is
            # broken itself, and so would be those after it.
            idle_deaths += not in_hand
            failure = Failure("retry", "WorkerDied", event.reason, "")
            if idle_deaths >= MAX_TRIES * workers:
                raise RunAborted(Failure("abort", "WorkerDied", _hopeless(event.reason), ""))
            suspect = in_hand.popleft() if in_hand else None
            # Tasks that only waited behind the suspect did nothing wrong: no try is counted.
            waiting.extendleft(reversed(in_hand))
            if waiting or suspect is not None:
                crew.starting.add(pool.start())
        else:
            failure = event.failure
            if failure.verdict == "abort":
                raise RunAborted(failure)
            suspect = crew.tasks[event.worker].popleft()
        if suspect is None:
            continue
        tries[suspect.name] = tries.get(suspect.name, 0) + 1
        if failure.verdict == "quarantine" or tries[suspect.name] >= MAX_TRIES:
            yield Quarantined(suspect, failure, tries.pop(suspect.name))
        else:
            waiting.append(suspect)
            yield Repeated(suspect, failure, tries[suspect.name])


def _hopeless(reason: str) -> str:
    return (
        f"workers keep dying before they start anything ({reason}); "
        "look at their output above: out of memory, a broken install, or a library that crashes"
    )
