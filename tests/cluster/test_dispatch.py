"""The scheduling loop alone, on a pool whose events are written down."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pytest

from cluster.board import Pulse
from cluster.dispatch import (
    Died,
    Done,
    Finished,
    LeasePolicy,
    PoolEvent,
    Quarantined,
    Ready,
    dispatch,
)
from cluster.stage import Task, TaskResult
from cluster.worker_pool import DeathKind


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


class GrowingPool(LatePool):
    """Room for one worker at first, for three a moment later; its tasks take their time."""

    def __init__(self) -> None:
        super().__init__()
        self.given = {number: [] for number in range(9)}
        self._events = deque([Ready(0)])

    def start(self) -> int:
        number = super().start()
        if number:
            self._events.append(Ready(number))
        return number

    def wait(self, timeout_s: float) -> PoolEvent | None:
        time.sleep(0.01)
        return super().wait(timeout_s) if self._events else None

    def room(self) -> int | None:
        return 3


def test_room_that_appears_during_a_run_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.dispatch.GROW_EVERY_S", 0.0)
    tasks = [Item(f"{number:02d}") for number in range(40)]
    policy = LeasePolicy(stall_s=1.0, silence_s=0.1)
    for elastic, expected in ((True, 3), (False, 1)):
        pool = GrowingPool()
        outcomes = list(dispatch(pool, tasks, workers=1, elastic=elastic, leases=policy))
        assert sum(isinstance(outcome, Finished) for outcome in outcomes) == 40
        assert pool.started == expected


class LosingPool(LatePool):
    """Every worker is lost with its machine, or dies, when it is given a task, so many times."""

    def __init__(self, kind: DeathKind, times: int) -> None:
        super().__init__()
        self.given = {number: [] for number in range(99)}
        self._events = deque()
        self._kind, self._times = kind, times

    def start(self) -> int:
        self._events.append(Ready(self.started))
        return super().start()

    def submit(self, worker: int, task: Task) -> None:
        if self._times:
            self._times -= 1
            self._events.append(Died(worker, "gone", kind=self._kind))
        else:
            super().submit(worker, task)


def test_a_lost_machine_is_not_held_against_its_task_and_a_dead_worker_is() -> None:
    (*_, last) = dispatch(LosingPool("NodeLost", 10), [Item("a")], workers=1)
    assert isinstance(last, Finished)
    (*_, last) = dispatch(LosingPool("WorkerDied", 2), [Item("a")], workers=1)
    assert isinstance(last, Finished)
    (*_, last) = dispatch(LosingPool("WorkerDied", 3), [Item("a")], workers=1)
    assert isinstance(last, Quarantined)
    assert (last.tries, last.failure.kind) == (3, "WorkerDied")
