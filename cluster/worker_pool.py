"""What the dispatcher knows of workers: numbers, what happens to them, and a pool that has them.

How workers are started and talked to is the business of a `WorkerPool`: local processes, Ray
actors, or this very process.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from cluster.board import Crumb, Pulse
from cluster.retry import Failure
from cluster.stage import Task, TaskResult

DeathKind = Literal["WorkerDied", "WorkerStuck", "WorkerSilent", "NodeLost"]


@dataclass(frozen=True)
class Ready:
    """A started worker has opened its stage and takes tasks from now on."""

    worker: int


@dataclass(frozen=True)
class Done:
    """A worker finished a task."""

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
    """A worker is gone, together with whatever it was doing.

    Attributes:
        kind: `NodeLost` if its whole machine is gone, which no task can be blamed for.
        crumbs: Images that it was decoding.
    """

    worker: int
    reason: str
    kind: DeathKind = "WorkerDied"
    crumbs: tuple[Crumb, ...] = ()


PoolEvent = Ready | Done | Raised | CannotOpen | Died


class WorkerPool(Protocol):
    """Workers by number. Each runs the tasks submitted to it one after the other, in order."""

    def start(self) -> int:
        """Start a worker; a `Ready` follows once it is there, which may take its time."""
        ...

    def submit(self, worker: int, task: Task) -> None: ...

    def wait(self, timeout_s: float) -> PoolEvent | None:
        """Wait until something happened to any worker; None if nothing did for `timeout_s`."""
        ...

    def pulses(self, workers: Collection[int]) -> Mapping[int, Pulse]:
        """The latest signs of life of `workers`, without waiting for any.

        A worker that is not up yet (its machine is still to come) is left out.
        """
        ...

    def kill(self, worker: int, reason: str) -> None:
        """End a worker, whatever state it is in; a `Died` with `reason` follows."""
        ...

    def room(self) -> int | None:
        """How many workers there is room for now; None where that does not change."""
        ...

    def why_silent(self) -> str:
        """What may explain that nothing happens; for the log."""
        ...

    def close(self) -> None:
        """Stop every worker at once; tasks that were running are lost and harmless."""
        ...
