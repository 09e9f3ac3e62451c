from __future__ import annotations

from dataclasses import dataclass

from cluster.backlog import Backlog
from cluster.retry import MAX_LOST_NODES, MAX_STORAGE_TRIES, Failure

RAISED = Failure("retry", "RuntimeError", "x", "")
LOST = Failure("retry", "NodeLost", "x", "")
THROTTLED = Failure("retry", "StorageError", "slow down", "", transient=True)
BAD = Failure("quarantine", "ShardError", "not a tar", "")


@dataclass(frozen=True)
class Item:
    name: str
    num_bytes: int = 1


def drain(backlog: Backlog, now: float = 0.0) -> list[str]:
    return [backlog.take().name for _ in range(backlog.ready(now))]


def test_largest_first_and_equals_in_their_order() -> None:
    backlog = Backlog([Item("a"), Item("c", 9), Item("b"), Item("d", 5)])
    backlog.add(Item("e", 7))
    assert drain(backlog) == ["c", "e", "d", "a", "b"]


def test_three_tries_and_one_that_failed_goes_behind_all_others() -> None:
    backlog = Backlog([Item("small"), Item("big", 9)])
    big = backlog.take()
    assert backlog.failed(big, RAISED, 0.0) == (1, True)
    assert drain(backlog) == ["small", "big"]
    assert backlog.failed(big, RAISED, 0.0) == (2, True)
    assert backlog.failed(big, RAISED, 0.0) == (3, False)
    assert backlog.failed(big, RAISED, 0.0) == (1, True), "a task that is told off begins anew"
    assert Backlog([]).failed(big, BAD, 0.0) == (1, False), "what stays bad gets one try"


def test_lost_nodes_and_slow_storage_are_not_the_tasks_fault() -> None:
    task, backlog, now = Item("a"), Backlog([]), 0.0
    for _ in range(MAX_LOST_NODES - 1):
        assert backlog.failed(task, LOST, now)[1]
        backlog.ready(now)
        backlog.take()
    assert backlog.failed(task, RAISED, now)[1], "counted apart"
    backlog.take()
    pauses = []
    for _ in range(MAX_STORAGE_TRIES - 1):
        assert backlog.failed(task, THROTTLED, now)[1]
        assert backlog.ready(now) == 0
        assert len(backlog) == 1, "it pauses, it is not lost"
        ends = backlog.next_pause_ends()
        assert ends is not None
        pauses.append(ends - now)
        now = ends
        assert drain(backlog, now) == ["a"]
    assert pauses == [2, 4, 8, 16, 32, 64, 120]
    assert not backlog.failed(task, THROTTLED, now)[1]
    assert len(backlog) == 0
