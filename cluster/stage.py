"""What a piece of distributable work looks like; knows no image, table or executor.

A `Stage` is a small picklable description that travels to a worker process, which opens it once
(weights are loaded there) and then runs many tasks. Scoring and export are stages; both run
unchanged in this process, in local worker processes and in Ray actors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

from cluster.board import Board


class Task(Protocol):
    """One unit of work: the part it writes is named by `name`, so running it twice is harmless."""

    @property
    def name(self) -> str: ...

    @property
    def num_bytes(self) -> int:
        """Input size in bytes; the larger ones are started first."""
        ...


@dataclass(frozen=True)
class TaskResult:
    """What comes back to the driver: paths and counters, never rows or pixels.

    Attributes:
        follow_up: Tasks that this one found necessary; they join the run.
    """

    name: str
    paths: tuple[str, ...] = ()
    counters: dict[str, float] = field(default_factory=dict)
    follow_up: tuple[Task, ...] = ()


@runtime_checkable
class SuspectTask(Protocol):
    """A task that can be done with care once its worker died over it."""

    def with_suspects(self, indexes: tuple[int, ...]) -> Task:
        """The same task, told which images were being decoded at that moment."""
        ...


T_contra = TypeVar("T_contra", bound=Task, contravariant=True)


class Worker(Protocol[T_contra]):
    """A stage opened in one worker process."""

    def run(self, task: T_contra) -> TaskResult: ...

    def close(self) -> None: ...


@runtime_checkable
class Reporting(Protocol):
    """A worker that tells how far it is; it is never taken for a stuck one while it gets on."""

    def report_to(self, board: Board) -> None:
        """Called once, after `open`: `board.progress(n)` for every `n` images done, and
        `board.begin(...)`, `board.end()` around work that a single image can crash."""
        ...


class Stage(Protocol[T_contra]):
    """A picklable description of work. `open` does the heavy set-up, once per worker."""

    @property
    def name(self) -> str: ...

    def open(self) -> Worker[T_contra]: ...
