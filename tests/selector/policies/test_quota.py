import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selector.policies.columns import Columns
from selector.policies.quota import balanced, fill_level, quota
from tests.selector.policies.reference import columns, kept_ids, sort_key, sorted_rows

NUM_GROUPS = 4


def reference_redistribute(rows: Columns, n: int) -> set[int]:
    """Deal the places out one by one: round k offers a place to the k-th row of every group."""
    groups = [sorted_rows(rows, group) for group in range(NUM_GROUPS)]
    kept = [row for group in groups for row in group[:n]]
    rank = n
    while len(kept) < n * NUM_GROUPS and any(len(group) > rank for group in groups):
        offered = sorted(
            (group[rank] for group in groups if len(group) > rank),
            key=lambda row: sort_key(rows, row),
        )
        kept += offered[: n * NUM_GROUPS - len(kept)]
        rank += 1
    return {int(rows.row_id[row]) for row in kept}


@given(columns(num_groups=NUM_GROUPS), st.integers(1, 12))
def test_accept_keeps_the_head_of_every_group(rows: Columns, n: int) -> None:
    expected = {
        int(rows.row_id[row]) for group in range(NUM_GROUPS) for row in sorted_rows(rows, group)[:n]
    }
    for shortage in ("accept", "error"):
        mask = quota(rows, n=n, num_groups=NUM_GROUPS, shortage=shortage)
        assert kept_ids(rows, mask) == expected


@given(columns(num_groups=NUM_GROUPS), st.integers(1, 12))
def test_redistribute_deals_free_places_round_by_round(rows: Columns, n: int) -> None:
    mask = quota(rows, n=n, num_groups=NUM_GROUPS, shortage="redistribute")
    assert kept_ids(rows, mask) == reference_redistribute(rows, n)
    num_rankable = len(sorted_rows(rows))
    assert mask.sum() == min(num_rankable, n * NUM_GROUPS)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(1, 12))
def test_fill_level_is_the_smallest_that_fills_all_places(counts: list[int], n: int) -> None:
    level = fill_level(np.array(counts), places=n * len(counts), least=n)
    places = n * len(counts)
    total = sum(counts)
    if total <= places:
        assert sum(min(c, level) for c in counts) == total
    else:
        assert sum(min(c, level) for c in counts) >= places
        assert level == n or sum(min(c, level - 1) for c in counts) < places


@pytest.mark.parametrize(
    ("shortage", "expected"), [("accept", [1, 2, 2]), ("redistribute", [1, 3, 2])]
)
def test_the_place_of_a_short_group_goes_to_the_best_next_row(
    shortage: str, expected: list[int]
) -> None:
    group = np.array([0, 1, 1, 1, 1, 2, 2, 2])
    order = np.array([9.0, 1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.5])
    zeros = np.zeros(8, dtype=np.uint64)
    rows = Columns(np.arange(8), order, zeros, zeros, group)
    mask = quota(rows, n=2, num_groups=3, shortage=shortage)
    assert np.bincount(group[mask], minlength=3).tolist() == expected


@given(columns(num_groups=NUM_GROUPS), st.integers(1, 40))
def test_balanced_deals_all_places_round_by_round(rows: Columns, total: int) -> None:
    groups = [sorted_rows(rows, group) for group in range(NUM_GROUPS)]
    expected: set[int] = set()
    for rank in range(len(rows)):
        offered = [group[rank] for group in groups if len(group) > rank]
        offered.sort(key=lambda row: sort_key(rows, row))
        expected |= {int(rows.row_id[row]) for row in offered[: total - len(expected)]}
    mask = balanced(rows, total=total, num_groups=NUM_GROUPS)
    assert kept_ids(rows, mask) == expected
