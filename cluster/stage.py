"""What a piece of distributable work looks like; knows no image, table or executor.

A `Stage` is a small picklable description that travels to a worker process, which opens it once
(weights are loaded there) and then runs many tasks. Scoring and export are stages; both run
unchanged in this process, in local worker processes and in Ray actors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeVar


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
    """What comes back to the driver: paths and counters, never rows or pixels."""

    name: str
    paths: tuple[str, ...] = ()
    counters: dict[str, float] = field(default_factory=dict)


T_contra = TypeVar("T_contra", bound=Task, contravariant=True)


class Worker(Protocol[T_contra]):
    """A stage opened in one worker process."""

    def run(self, task: T_contra) -> TaskResult: ...

    def close(self) -> None: ...


class Stage(Protocol[T_contra]):
    """A picklable description of work. `open` does the heavy set-up, once per worker."""

    @property
    def name(self) -> str: ...

    def open(self) -> Worker[T_contra]: ...
