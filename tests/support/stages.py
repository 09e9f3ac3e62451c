"""Small real stages for tests of the executors: they misbehave on request."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from cluster.stage import TaskResult
from shards.errors import ShardError, UsageError


@dataclass(frozen=True)
class ToyTask:
    """Writes `folder/name`; `behaviour` says what goes wrong before that."""

    name: str
    folder: str
    behaviour: str = "ok"
    num_bytes: int = 1


@dataclass(frozen=True)
class ToyStage:
    open_error: str = ""
    name: str = "toy"

    def open(self) -> ToyWorker:
        if self.open_error:
            raise UsageError(self.open_error)
        return ToyWorker()


class ToyWorker:
    def run(self, task: ToyTask) -> TaskResult:
        attempts = Path(task.folder, f"{task.name}.attempts")
        attempt = len(attempts.read_bytes()) if attempts.exists() else 0
        attempts.write_bytes(b"x" * (attempt + 1))
        misbehave(task.behaviour, attempt)
        path = Path(task.folder, task.name)
        path.write_text(str(attempt))
        return TaskResult(task.name, (str(path),), {"images": 1.0, "pid": float(os.getpid())})

    def close(self) -> None:
        pass


def misbehave(behaviour: str, attempt: int) -> None:
    if behaviour == "raise" or (behaviour == "raise-once" and attempt == 0):
        raise RuntimeError("as asked")
    if behaviour == "bad-shard":
        raise ShardError("not a tar", shard="x.tar")
    if behaviour == "bad-config":
        raise UsageError("every task would fail like this")
    if behaviour == "die" or (behaviour == "die-once" and attempt == 0):
        os.kill(os.getpid(), signal.SIGKILL)


def folder_results(folder: Path) -> dict[str, str]:
    """What the finished tasks wrote: name -> number of earlier attempts."""
    return {path.name: path.read_text() for path in folder.iterdir() if path.suffix != ".attempts"}
