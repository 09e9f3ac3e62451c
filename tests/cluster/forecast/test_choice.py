"""The shards that stand for a pool are spread over its bytes, and always the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cluster.forecast.choice import choose_shards, deal
from shards.manifest import ShardEntry


def entries(sizes: list[int]) -> list[ShardEntry]:
    return [ShardEntry(i, f"/p/{i}.tar", size, f"{size}-1") for i, size in enumerate(sizes)]


SIZES = st.lists(st.integers(0, 10**12), min_size=1, max_size=40)


@given(SIZES, st.integers(1, 50))
def test_distinct_in_order_and_no_more_than_asked(sizes: list[int], count: int) -> None:
    chosen = choose_shards(entries(sizes), count)
    ids = [entry.shard_id for entry in chosen]
    assert ids == sorted(set(ids))
    assert 1 <= len(ids) <= min(count, len(sizes))
    assert chosen == choose_shards(entries(sizes), count)


def test_equal_shards_are_taken_at_equal_distances() -> None:
    assert [e.shard_id for e in choose_shards(entries([100] * 90), 3)] == [15, 45, 75]
    assert len(choose_shards(entries([100] * 3), 8)) == 3


def test_a_set_that_holds_most_bytes_is_most_of_the_choice() -> None:
    chosen = choose_shards(entries([1] * 50 + [1000] * 50), 10)
    assert all(entry.num_bytes == 1000 for entry in chosen)
    mixed = choose_shards(entries([10] * 60 + [100] * 6), 6)
    assert sum(entry.num_bytes == 10 for entry in mixed) == 3


@given(SIZES, st.integers(1, 9))
def test_dealing_loses_nothing(sizes: list[int], hands: int) -> None:
    dealt = deal(entries(sizes), hands)
    assert sorted(e.shard_id for hand in dealt for e in hand) == list(range(len(sizes)))
    assert len(dealt) == min(hands, len(sizes))
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
