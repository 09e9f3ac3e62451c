from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shards.distinct_keys import DistinctKeys


def test_a_key_that_repeats_gets_a_number() -> None:
    keys = DistinctKeys()
    assert [keys.next(key) for key in "aaabaa"] == ["a", "a-2", "a-3", "b", "a", "a-2"]


@given(st.lists(st.sampled_from(["a", "b", "a-2", "a-3"]), max_size=20))
def test_neighbours_differ(given_keys: list[str]) -> None:
    keys = DistinctKeys()
    written = [keys.next(key) for key in given_keys]
    assert all(left != right for left, right in pairwise(written))
