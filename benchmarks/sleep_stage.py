"""A stage that sleeps in place of a model, and imports no torch."""

from __future__ import annotations

import time
from dataclasses import dataclass

from cluster.ledger import Ledger, Marker, short_hash
from cluster.stage import TaskResult

SEMANTIC = short_hash("nothing")


@dataclass(frozen=True)
class SleepTask:
    """Takes `seconds`; bytes stand for them, as sizes do for real shards."""

    name: str
    seconds: float = 0.0
    etag: str = ""

    @property
    def num_bytes(self) -> int:
        return int(self.seconds * 1e8)


@dataclass(frozen=True)
class SleepStage:
    """Sleeps, and writes a marker where there is a ledger."""

    ledger: str = ""
    name: str = "sleep"

    def open(self) -> SleepWorker:
        return SleepWorker(self.ledger)


class SleepWorker:
    """An opened `SleepStage`."""

    def __init__(self, ledger: str) -> None:
        self._ledger = Ledger(ledger) if ledger else None

    def run(self, task: SleepTask) -> TaskResult:
        time.sleep(task.seconds)
        if self._ledger is not None:
            counters = {"images": 0.0, "failed": 0.0}
            self._ledger.write(Marker(task.name, SEMANTIC, task.etag, counters=counters))
        return TaskResult(task.name)

    def close(self) -> None:
        pass
