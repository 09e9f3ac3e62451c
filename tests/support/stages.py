"""Small real stages for tests of the executors: they misbehave on request."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.board import Board
from cluster.stage import TaskResult
from shards.errors import ShardError, UsageError


@dataclass(frozen=True)
class ToyTask:
    """Writes `folder/name`; `behaviour` says what goes wrong before that."""

    name: str
    folder: str
    behaviour: str = "ok"
    num_bytes: int = 1
    suspects: tuple[int, ...] = ()

    def with_suspects(self, indexes: tuple[int, ...]) -> ToyTask:
        return replace(self, suspects=(*self.suspects, *indexes))


@dataclass(frozen=True)
class ToyStage:
    open_error: str = ""
    name: str = "toy"

    def open(self) -> ToyWorker:
        if self.open_error:
            raise UsageError(self.open_error)
        return ToyWorker()


class ToyWorker:
    _board: Board

    def report_to(self, board: Board) -> None:
        self._board = board

    def run(self, task: ToyTask) -> TaskResult:
        attempts = Path(task.folder, f"{task.name}.attempts")
        attempt = len(attempts.read_bytes()) if attempts.exists() else 0
        attempts.write_bytes(b"x" * (attempt + 1))
        if task.behaviour == "step":
            time.sleep(0.1)
        if task.behaviour == "slow":
            for _ in range(8):
                time.sleep(0.25)
                self._board.progress(1)
        if task.behaviour == "poison" and not task.suspects:
            self._board.begin(41, 512, 7)
            self._board.end()
            self._board.begin(42, 1024, 9)
            signal.raise_signal(signal.SIGSEGV)
        misbehave(task.behaviour, attempt)
        path = Path(task.folder, task.name)
        path.write_text(str(attempt))
        counters = {"images": 1.0, "pid": float(os.getpid()), "suspects": float(sum(task.suspects))}
        more = ToyTask(f"{task.name}-more", task.folder)
        follow_up = (more,) if task.behaviour == "two-steps" else ()
        return TaskResult(task.name, (str(path),), counters, follow_up)

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
    if behaviour == "hang-once" and attempt == 0:
        time.sleep(3600)
    if behaviour == "stop-once" and attempt == 0:
        os.kill(os.getpid(), signal.SIGSTOP)


def folder_results(folder: Path) -> dict[str, str]:
    """What the finished tasks wrote: name -> number of earlier attempts."""
    return {path.name: path.read_text() for path in folder.iterdir() if path.suffix != ".attempts"}
