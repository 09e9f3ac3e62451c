import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selector.policies.columns import Columns
from selector.policies.ranking import share_of, smallest, up_to
from tests.selector.policies.reference import columns, kept_ids, sorted_rows


@given(columns(), st.integers(0, 50))
def test_smallest_is_the_head_of_a_sort(rows: Columns, n: int) -> None:
    expected = {int(rows.row_id[row]) for row in sorted_rows(rows)[:n]}
    assert kept_ids(rows, smallest(rows, n=n)) == expected


@given(columns(), st.integers(1, 50), st.randoms(use_true_random=False))
def test_smallest_does_not_see_the_order_of_rows(rows: Columns, n: int, random) -> None:
    index = np.array(random.sample(range(len(rows)), len(rows)), dtype=np.int64)
    shuffled = rows.at(index)
    assert kept_ids(shuffled, smallest(shuffled, n=n)) == kept_ids(rows, smallest(rows, n=n))


def test_rows_without_score_are_not_taken_even_when_n_is_not_reached() -> None:
    rows = Columns(
        np.arange(3),
        np.array([np.nan, 2.0, np.nan]),
        np.zeros(3, dtype=np.uint64),
        np.zeros(3, dtype=np.uint64),
        np.zeros(3, dtype=np.int64),
    )
    assert smallest(rows, n=3).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("num_rows", "quantile", "expected"),
    [(100, 0.29, 29), (30, 0.1, 3), (1000, 0.001, 1), (7, 0.5, 3), (5, 0.1, 0), (10, 1.0, 10)],
)
def test_share_is_exact_decimal_arithmetic(num_rows: int, quantile: float, expected: int) -> None:
    assert share_of(num_rows, quantile) == expected


def test_up_to_includes_its_limit_and_never_nan() -> None:
    order = np.array([0.5, 0.25, 0.75, np.nan, -np.inf])
    assert up_to(order, limit=0.5).tolist() == [True, True, False, False, True]
