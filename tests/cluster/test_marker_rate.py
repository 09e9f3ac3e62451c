"""The rate is that of the last stretch: pauses, old times and a slow present are seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.marker_rate import FinishedPart, bytes_per_s


def steady(count: int, *, every_s: float, begin: float = 1000.0) -> list[FinishedPart]:
    return [FinishedPart(begin + number * every_s, 100.0) for number in range(count)]


def test_one_part_says_nothing() -> None:
    assert bytes_per_s(steady(1, every_s=1)) is None


@given(st.permutations(steady(8, every_s=4)))
def test_steady_parts_in_any_order(parts: list[FinishedPart]) -> None:
    assert bytes_per_s(parts) == pytest.approx(25.0)


def test_the_last_ten_minutes_count() -> None:
    slow, fast = steady(100, every_s=10), steady(600, every_s=1, begin=2000.0)
    assert bytes_per_s([*slow, *fast]) == pytest.approx(100.0, rel=0.02)


def test_few_large_parts_are_enough() -> None:
    assert bytes_per_s(steady(5, every_s=900)) == pytest.approx(100 / 900)


def test_a_night_between_two_calls_is_no_slowness() -> None:
    parts = [*steady(5, every_s=10), *steady(5, every_s=10, begin=50_000.0)]
    assert bytes_per_s(parts) == pytest.approx(10.0)


def test_waiting_for_the_next_part_counts_only_beyond_its_usual_time() -> None:
    parts = steady(5, every_s=10)
    assert bytes_per_s(parts, now_s=parts[-1].at_s + 5) == pytest.approx(10.0)
    assert bytes_per_s(parts, now_s=parts[-1].at_s + 410) == pytest.approx(400 / 440)


def test_parts_that_ended_at_one_moment_have_no_rate() -> None:
    assert bytes_per_s(steady(3, every_s=0)) is None
