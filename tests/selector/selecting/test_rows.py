import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selector.selecting.plan import Combine, Flag, Limit, Listed, Order, Rank, is_row_wise
from selector.selecting.rows import (
    columns_of,
    concatenate,
    count_values,
    group_of,
    keeps,
    order_of,
    take_rows,
)
from selector.selecting.source import NO_GROUP, Chunk

LOWEST = Order("x", 1, 0, False, "lowest x")
HIGHEST = Order("x", -1, 0, False, "highest x")


def chunk(x: list[float], group: list[int] | None = None) -> Chunk:
    zeros = np.zeros(len(x), dtype=np.uint64)
    return {
        "row_id": np.arange(len(x)),
        "tie_high": zeros,
        "tie_low": zeros,
        "x": np.array(x, dtype=np.float64),
        "flag": np.arange(len(x)) % 2 == 0,
        "group": np.array(group if group is not None else [0] * len(x), dtype=np.int64),
    }


FLAG = Flag("p", "flag", "flag", keep=True)
NOT_FLAG = Flag("p", "no flag", "flag", keep=False)
LISTED = Listed("p", "listed", np.array([1, 3]), None)
UP_TO = Limit("p", "limit", LOWEST, 2.0)
DOWN_TO = Limit("p", "limit", HIGHEST, -2.0)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (FLAG, [True, False, True, False]),
        (NOT_FLAG, [False, True, False, True]),
        (LISTED, [True, False, True, False]),
        (UP_TO, [True, True, False, False]),
        (DOWN_TO, [False, True, True, False]),
        (Combine("p", "all", "all", (FLAG, UP_TO)), [True, False, False, False]),
        (Combine("p", "any", "any", (NOT_FLAG, UP_TO)), [True, True, False, True]),
    ],
)
def test_row_wise_steps_are_masks(step, expected: list[bool]) -> None:
    assert is_row_wise(step)
    assert keeps(step, chunk([1.0, 2.0, 3.0, np.nan])).tolist() == expected


def test_steps_that_compare_rows_are_no_masks() -> None:
    rank = Rank("p", "rank", LOWEST, 1, None, None, "error")
    for step in (rank, Combine("p", "any", "any", (FLAG, rank))):
        assert not is_row_wise(step)
    with pytest.raises(ValueError, match="compares rows"):
        keeps(rank, chunk([1.0]))
    assert not is_row_wise(Combine("p", "fill", "fill", (UP_TO, UP_TO), 5))


def test_the_highest_first_is_the_negated_value() -> None:
    rows = chunk([1.0, 2.0])
    assert order_of(HIGHEST, rows).tolist() == [-1.0, -2.0]
    assert columns_of(LOWEST, rows).order.tolist() == [1.0, 2.0]
    draw = Order(None, 1, 7, False, "random")
    assert order_of(draw, rows).tolist() == order_of(draw, chunk([5.0, 6.0])).tolist()


@given(
    st.lists(st.integers(-3, 9) | st.just(NO_GROUP), max_size=20),
    st.lists(st.integers(-3, 9), unique=True, max_size=8),
)
def test_group_of_is_the_position_among_the_groups(values: list[int], groups: list[int]) -> None:
    step = Rank("p", "quota", LOWEST, 1, None, "group", "accept")
    known = sorted(groups)
    found = group_of(step, chunk([0.0] * len(values), values), np.array(known, dtype=np.int64))
    assert found.tolist() == [known.index(v) if v in known else -1 for v in values]


@given(st.lists(st.integers(-5, 5) | st.integers(-(2**62), 2**62), max_size=30))
def test_count_values_counts(values: list[int]) -> None:
    found, counts = count_values(np.array(values, dtype=np.int64))
    assert dict(zip(found.tolist(), counts.tolist(), strict=True)) == {
        value: values.count(value) for value in values
    }
    assert found.tolist() == sorted(found.tolist())


def test_taking_and_joining_rows() -> None:
    rows = chunk([1.0, 2.0, 3.0])
    assert take_rows(rows, np.ones(3, dtype=bool)) is rows
    some = take_rows(rows, np.array([2, 0]))
    assert some["x"].tolist() == [3.0, 1.0]
    assert concatenate([some, take_rows(rows, rows["x"] == 2)])["x"].tolist() == [3.0, 1.0, 2.0]
