import pytest
from hypothesis import given
from hypothesis import strategies as st

from selector.neighbors.index_kind import choose_kind, list_count, subquantizers, train_rows
from shards.errors import UsageError


def test_the_kind_goes_by_size() -> None:
    assert choose_kind(100_000, 64).kind == "flat"
    assert choose_kind(1_000_000, 64).kind == "ivf-flat"
    assert choose_kind(1_000_000, 960).kind == "ivf-pq"
    assert choose_kind(10_000_000, 64).kind == "ivf-pq"
    asked = choose_kind(5000, 64, kind="ivf-pq")
    assert (asked.kind, asked.asked) == ("ivf-pq", True)
    with pytest.raises(UsageError, match="needs at least 96 usable vectors, found 95"):
        choose_kind(95, 64, kind="ivf-flat")


@given(st.integers(96, 10**9))
def test_lists_are_a_power_of_two_and_can_be_trained(rows: int) -> None:
    lists = list_count(rows)
    assert lists & (lists - 1) == 0
    assert 48 * lists <= rows
    assert lists <= 1.3 * rows**0.5 * 2**0.5
    assert lists <= train_rows(rows, lists) <= rows


@given(st.integers(1, 4096))
def test_parts_divide_the_padded_dimensions(dim: int) -> None:
    parts, padded = subquantizers(dim)
    assert padded % parts == 0
    assert parts % 2 == 0
    assert dim <= padded < dim + parts
    assert parts <= 128
