import numpy as np
from hypothesis import given

from selector.policies.columns import Columns, best_first, best_first_by_group, concatenate
from tests.selector.policies.reference import columns, sort_key, sorted_rows


@given(columns(num_groups=3))
def test_best_first_sorts_by_score_then_hash_then_row_id(rows: Columns) -> None:
    usable = rows.at(~np.isnan(rows.order))
    expected = sorted(range(len(usable)), key=lambda row: sort_key(usable, row))
    assert best_first(usable).tolist() == expected


@given(columns(num_groups=3))
def test_by_group_sorts_each_group_by_the_same_order(rows: Columns) -> None:
    usable = rows.at(~np.isnan(rows.order) & (rows.group >= 0))
    expected = [row for group in range(3) for row in sorted_rows(usable, group)]
    assert best_first_by_group(usable).tolist() == expected


def test_hash_halves_count_as_one_number() -> None:
    rows = Columns(
        np.array([1, 2, 3]),
        np.zeros(3),
        np.array([1, 0, 0], dtype=np.uint64),
        np.array([0, 2**64 - 1, 2**63], dtype=np.uint64),
        np.zeros(3, dtype=np.int64),
    )
    assert best_first(rows).tolist() == [2, 1, 0]


@given(columns())
def test_concatenate_puts_parts_one_after_another(rows: Columns) -> None:
    middle = len(rows) // 2
    index = np.arange(len(rows))
    whole = concatenate([rows.at(index[:middle]), rows.at(index[middle:])])
    np.testing.assert_array_equal(whole.row_id, rows.row_id)
    np.testing.assert_array_equal(whole.order, rows.order)
