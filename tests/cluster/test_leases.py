"""Leases over a clock that the test moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cluster.board import Pulse
from cluster.leases import LeasePolicy, Leases, TaskTimes

POLICY = LeasePolicy(stall_s=10.0, silence_s=5.0, slack=3.0)


def working(*, num_bytes: int = 100) -> Leases:
    """Worker 0, which began a task at time 0; tasks of 100 bytes took a second before."""
    leases = Leases(POLICY)
    leases.start(0, -2.0)
    leases.see({0: Pulse(0, 0)}, -2.0)
    leases.ready(0)
    leases.begin(0, 100, -1.0)
    leases.end(0, 0.0, learn=True)
    leases.begin(0, num_bytes, 0.0)
    return leases


def beat(leases: Leases, seconds: int, *, units: bool) -> None:
    for now in range(1, seconds + 1):
        leases.see({0: Pulse(now, now if units else 0)}, float(now))
        assert not leases.overdue(float(now)), now


def test_one_that_gets_on_is_never_given_up_however_long_it_takes() -> None:
    beat(working(), 10_000, units=True)


def test_one_that_lives_but_does_not_get_on_is_stuck() -> None:
    leases = working()
    beat(leases, 10, units=False)
    leases.see({0: Pulse(11, 0)}, 11.0)
    (overdue,) = leases.overdue(11.0)
    assert (overdue.worker, overdue.kind) == (0, "WorkerStuck")
    assert "no progress for 11 s" in overdue.reason


def test_one_without_a_sign_of_life_is_silent_also_when_it_only_opens_its_stage() -> None:
    leases = working()
    beat(leases, 3, units=True)
    assert not leases.overdue(8.0)
    (overdue,) = leases.overdue(8.5)
    assert overdue.kind == "WorkerSilent"
    opening = Leases(POLICY)
    opening.start(0, 0.0)
    assert not opening.overdue(1e6), "an actor whose machine is still to come"
    opening.see({0: Pulse(0, 0)}, 1e6)
    assert not opening.overdue(1e6 + 15), "opening gets three times as long"
    assert [one.kind for one in opening.overdue(1e6 + 16)] == ["WorkerSilent"]
    opening.see({0: Pulse(1, 0)}, 1e6 + 31)
    assert [one.kind for one in opening.overdue(1e6 + 31)] == ["WorkerStuck"]


def test_a_large_task_gets_time_by_its_size_and_an_idle_worker_all_of_it() -> None:
    leases = working(num_bytes=100_000)  # about 1000 times the 100 + 100 bytes of a second's task
    beat(leases, 1500, units=False)
    leases.end(0, 1500.0, learn=True)
    assert leases.to_look_at(9999.0) == []
    assert leases.overdue(9999.0) == []


def test_signs_of_life_matter_only_of_those_that_are_long_in_a_task() -> None:
    leases = working()
    assert leases.to_look_at(0.5) == []
    assert leases.to_look_at(0.0 + POLICY.look_every_s) == [0]
    assert list(leases.running(4.0)) == [(0, 4.0, 0)]
    leases.drop(0)
    assert list(leases.running(4.0)) == []


@given(
    st.lists(
        st.tuples(st.floats(0.01, 100), st.integers(0, 10**12), st.integers(0, 1000)), min_size=1
    ),
    st.integers(0, 10**12),
)
def test_expectation_is_positive_and_grows_with_size(
    tasks: list[tuple[float, int, int]], size: int
) -> None:
    times = TaskTimes()
    assert times.task_s(size) is None
    for seconds, num_bytes, units in tasks:
        times.add(seconds, num_bytes, units)
    smaller, larger = times.task_s(size), times.task_s(size + 10**6)
    assert smaller is not None
    assert larger is not None
    assert 0 < smaller < larger


def test_one_outlier_among_many_does_not_set_the_expectation() -> None:
    times = TaskTimes()
    for _ in range(99):
        times.add(1.0, 100, 10)
    times.add(1000.0, 100, 10)
    assert times.task_s(100) == 1.0
    assert times.step_s() == 0.1
