"""What the dispatcher tells whoever runs it: what became of each task, and how things stand."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.board import Crumb
from cluster.retry import Failure
from cluster.stage import Task, TaskResult
from shards.errors import CoursepackError


@dataclass(frozen=True)
class Finished:
    """Outcome of a task: its outputs are in place."""

    task: Task
    result: TaskResult


@dataclass(frozen=True)
class Quarantined:
    """Outcome of a task that cannot be done: why, and after how many tries.

    Attributes:
        crumbs: Images that were being decoded when it last took a worker down.
    """

    task: Task
    failure: Failure
    tries: int
    crumbs: tuple[Crumb, ...] = ()


@dataclass(frozen=True)
class Repeated:
    """Not an outcome: a task goes round again, and why. For the log."""

    task: Task
    failure: Failure
    tries: int


@dataclass(frozen=True)
class Waiting:
    """Not an outcome: nothing happened for a while, and why. For the log."""

    reason: str


@dataclass(frozen=True)
class InHand:
    """A task that is being done: by which worker, for how long, how much of it."""

    worker: int
    task: Task
    seconds: float
    units: int


@dataclass(frozen=True)
class Standing:
    """Not an outcome: how things stand, told now and then.

    Attributes:
        workers, starting: Workers that take tasks; those that are still to be there.
        waiting: Tasks that nobody has in hand.
        in_hand: What is being done.
        deaths: Workers lost so far, whatever the reason.
    """

    workers: int
    starting: int
    waiting: int
    in_hand: tuple[InHand, ...]
    deaths: int


Outcome = Finished | Quarantined | Repeated | Waiting | Standing


class RunAborted(CoursepackError):
    """A failure that every task would share: wrong weights, wrong configuration, disk full."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.exit_code = 2 if failure.kind == "UsageError" else 1
