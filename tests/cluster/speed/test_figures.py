from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.speed.figures import (
    Figure,
    is_faster,
    is_slower,
    lowest,
    median_interval,
    ratios,
    shared_limit,
)

RATES = st.lists(st.floats(1, 1e6), min_size=1, max_size=40)


@given(RATES)
def test_the_interval_holds_the_median_and_only_measured_values(values: list[float]) -> None:
    low, high = median_interval(values)
    assert low <= Figure(tuple(values)).median <= high
    assert {low, high} <= set(values)


@pytest.mark.parametrize(
    ("num", "left_out"), [(3, 0), (5, 0), (6, 0), (8, 0), (9, 1), (12, 2), (20, 5)]
)
def test_as_many_are_left_out_as_tables_say(num: int, left_out: int) -> None:
    # Order statistics of the sign test at 5 %, two-sided.
    assert median_interval(range(num)) == (left_out, num - 1 - left_out)


def test_it_covers_the_true_median_as_often_as_it_promises() -> None:
    generator = np.random.default_rng(0)
    inside = 0
    for draw in generator.exponential(size=(2000, 9)):
        low, high = median_interval(draw.tolist())
        inside += low <= np.log(2) <= high
    assert inside / 2000 > 0.94


def test_ratios_are_taken_round_by_round() -> None:
    # Both fell to a half in the second round: the machine did, not the engine.
    assert ratios(Figure((90.0, 45.0)), Figure((100.0, 50.0))).values == (0.9, 0.9)


def test_stages_that_share_cores_add_up() -> None:
    decode, model = Figure((0.001, 0.002)), Figure((0.003, 0.002))
    assert shared_limit(2, decode, model).values == pytest.approx((500, 500))
    assert shared_limit(2, decode).values == pytest.approx((2000, 1000))


def test_the_lowest_limit_is_found_by_its_median() -> None:
    limits = {"a": Figure((1.0, 10.0, 11.0)), "b": Figure((9.0, 9.0, 9.0))}
    assert lowest(limits) == ("b", limits["b"])


def test_only_what_exceeds_the_noise_of_both_has_changed() -> None:
    before = Figure((100.0, 101.0, 99.0))
    assert is_slower(Figure((90.0, 91.0, 98.0)), before)
    assert not is_slower(Figure((90.0, 91.0, 99.5)), before)
    assert is_faster(Figure((102.0, 103.0, 104.0)), before)
    assert not is_faster(Figure((100.5, 103.0, 104.0)), before)
