"""stats: bins that lose nothing, bands that share nothing, and class counts with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from selector.report.stats import (
    MAX_DECADES,
    axis_step,
    bin_counts,
    effective_classes,
    log_bins,
    quantile_bands,
    shown_classes,
)

positive = st.floats(min_value=1e-18, max_value=100, allow_nan=False)
counts = hnp.arrays(np.int64, st.integers(1, 50), elements=st.integers(0, 1000))


@given(positive, positive)
def test_bins_cover_the_values_in_whole_decades(a: float, b: float) -> None:
    smallest, largest = min(a, b), max(a, b)
    bins = log_bins(smallest, largest)
    assert bins.range_of(bins.num_bins - 1)[1] >= largest * (1 - 1e-9)
    assert bins.high - bins.low == bins.num_bins / bins.per_decade >= 1
    if bins.high - bins.low < MAX_DECADES:
        assert bins.range_of(0)[0] <= smallest * (1 + 1e-9)


def test_very_small_values_do_not_stretch_the_axis() -> None:
    bins = log_bins(1e-40, 2.0)
    assert (bins.low, bins.high) == (1 - MAX_DECADES, 1)


def test_neighbouring_bins_meet() -> None:
    bins = log_bins(1e-3, 1.0)
    for index in range(bins.num_bins - 1):
        assert bins.range_of(index)[1] == pytest.approx(bins.range_of(index + 1)[0])


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (2.0, 1.0), (1.0, math.inf)])
def test_bins_refuse_what_has_no_logarithm(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="0 < smallest"):
        log_bins(low, high)


@given(
    hnp.arrays(np.int64, 30, elements=st.integers(-100, 100)),
    hnp.arrays(np.int64, 30, elements=st.integers(0, 100)),
)
def test_counts_outside_the_bins_join_the_ends(index: np.ndarray, count: np.ndarray) -> None:
    found = bin_counts(index, count, num_bins=7)
    assert found.sum() == count.sum()
    assert found[0] == count[index <= 0].sum()
    assert found[6] == count[index >= 6].sum()


@given(counts)
def test_effective_classes_lie_between_one_and_the_number_present(count: np.ndarray) -> None:
    present = int((count > 0).sum())
    found = effective_classes(count)
    assert (found == 0) if not present else (1 - 1e-9 <= found <= present + 1e-9)


def test_equal_classes_count_in_full_and_empty_ones_not_at_all() -> None:
    assert effective_classes(np.array([5, 5, 5, 5])) == pytest.approx(4)
    assert effective_classes(np.array([5, 0, 5, 0])) == pytest.approx(2)
    # Two classes of 9 : 1 by hand: exp(-(0.9 ln 0.9 + 0.1 ln 0.1)).
    assert effective_classes(np.array([9, 1])) == pytest.approx(1.3841, abs=1e-4)


def test_few_classes_are_shown_in_their_own_order() -> None:
    shown = shown_classes(np.array([1, 9, 0]), np.array([0, 1, 0]), most=3)
    assert shown.first.tolist() == [0, 1, 2]
    assert (len(shown.last), shown.num_between, shown.num_absent) == (0, 0, 0)


def test_of_many_classes_the_largest_and_smallest_of_the_selection_are_shown() -> None:
    pool = np.full(100, 7)
    selected = np.roll(np.arange(100), 1)
    shown = shown_classes(pool, selected, most=5)
    assert selected[shown.first].tolist() == [99, 98, 97]
    assert selected[shown.last].tolist() == [1, 0]
    assert shown.num_between == 95


def test_classes_without_images_give_way() -> None:
    pool, selected = np.zeros(100, dtype=np.int64), np.zeros(100, dtype=np.int64)
    pool[[4, 50, 60]] = 5, 6, 7
    selected[50] = 2
    shown = shown_classes(pool, selected, most=5)
    assert shown.first.tolist() == [50, 60, 4]
    assert (shown.num_between, shown.num_absent) == (0, 97)


@given(counts, st.integers(1, 60))
def test_every_class_is_shown_once_or_counted(count: np.ndarray, most: int) -> None:
    shown = shown_classes(count, count[::-1].copy(), most=most)
    rows = [*shown.first.tolist(), *shown.last.tolist()]
    assert len(set(rows)) == len(rows) <= most
    assert len(rows) + shown.num_between + shown.num_absent == len(count)


@given(
    hnp.arrays(np.float64, st.integers(0, 60), elements=st.floats(0, 9)),
    st.integers(2, 8),
    st.integers(1, 12),
)
def test_bands_are_disjoint_and_reach_both_ends(
    values: np.ndarray, num_bands: int, width: int
) -> None:
    bands = quantile_bands(values, num_bands=num_bands, width=width)
    rows = np.concatenate([rows for _, rows in bands]) if bands else np.array([])
    assert len(set(rows.tolist())) == len(rows)
    assert len(bands) == (min(num_bands, len(values)))
    if len(values) >= 2:
        assert [q for q, _ in bands] == sorted(q for q, _ in bands)
        assert values[bands[0][1][0]] == values.min()
        assert values[bands[-1][1][-1]] == values.max()
        assert (np.diff(values[rows]) >= 0).all()
        assert all(1 <= len(band) <= width for _, band in bands)


def test_bands_of_a_ramp_lie_at_their_quantiles() -> None:
    values = np.random.default_rng(0).permutation(1001).astype(float)
    bands = quantile_bands(values, num_bands=5, width=11)
    middles = [float(np.median(values[rows])) for _, rows in bands]
    assert middles == pytest.approx([5, 252.5, 500, 747.5, 995], abs=1)


@pytest.mark.parametrize("bad", [{"num_bands": 1, "width": 3}, {"num_bands": 3, "width": 0}])
def test_bands_refuse_nonsense(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected at least"):
        quantile_bands(np.zeros(5), **bad)


@given(st.floats(1e-3, 1e9), st.integers(2, 10))
def test_axis_steps_are_round_and_few(largest: float, most: int) -> None:
    step = axis_step(largest, most=most)
    assert largest / step <= most * (1 + 1e-6)
    assert f"{step:.0e}"[0] in "125"
    assert axis_step(0, most=most) == 1
