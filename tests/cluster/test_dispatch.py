"""The scheduling loop alone, on a pool whose events are written down."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cluster.board import Pulse
from cluster.dispatch import Done, Finished, PoolEvent, Ready, dispatch
from cluster.stage import Task, TaskResult


@dataclass(frozen=True)
class Item:
    name: str
    num_bytes: int = 1


class LatePool:
    """Worker 1 gets ready only after worker 0 was given all that it may have."""

    def __init__(self) -> None:
        self.started = 0
        self.given: dict[int, list[str]] = {0: [], 1: []}
        self._events: deque[PoolEvent] = deque([Ready(0), Ready(1)])

    def start(self) -> int:
        self.started += 1
        return self.started - 1

    def submit(self, worker: int, task: Task) -> None:
        self.given[worker].append(task.name)
        self._events.append(Done(worker, TaskResult(task.name)))

    def wait(self, timeout_s: float) -> PoolEvent | None:
        return self._events.popleft()

    def pulses(self, workers: Collection[int]) -> Mapping[int, Pulse]:
        return {}

    def kill(self, worker: int, reason: str) -> None:
        raise AssertionError

    def room(self) -> int | None:
        return None

    def why_silent(self) -> str:
        return ""

    def close(self) -> None:
        pass


def test_two_shards_are_shared_though_one_worker_is_ready_first() -> None:
    pool = LatePool()
    outcomes = list(dispatch(pool, [Item("a"), Item("b")], workers=2))
    assert pool.given == {0: ["a"], 1: ["b"]}
    assert all(isinstance(outcome, Finished) for outcome in outcomes)
