import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from selector.policies.compose import fill, first_seen, in_all, listed

IDS = st.lists(st.integers(0, 15), unique=True, max_size=12)


def array(ids: list[int]) -> np.ndarray:
    return np.array(ids, dtype=np.int64)


@given(IDS, st.lists(IDS, max_size=3))
def test_in_all_is_the_intersection(first: list[int], others: list[list[int]]) -> None:
    mask = in_all(array(first), [array(other) for other in others])
    assert set(array(first)[mask].tolist()) == set(first).intersection(*others)


@given(IDS, IDS)
def test_listed_is_membership(row_id: list[int], ids: list[int]) -> None:
    mask = listed(array(row_id), np.sort(array(ids)))
    assert mask.tolist() == [i in ids for i in row_id]


@given(st.lists(IDS, min_size=1, max_size=3))
def test_first_seen_is_the_union_each_row_once(sources: list[list[int]]) -> None:
    together = array([i for source in sources for i in source])
    kept = together[first_seen(together)].tolist()
    assert sorted(kept) == sorted(set().union(*sources))
    # The row is taken from the first source that has it.
    assert kept == list(dict.fromkeys(together.tolist()))


@given(st.lists(IDS, min_size=1, max_size=3), st.integers(1, 20))
def test_fill_takes_sources_in_turn_until_n(sources: list[list[int]], n: int) -> None:
    masks = fill([array(source) for source in sources], n=n)
    kept = [i for s, mask in zip(sources, masks, strict=True) for i in array(s)[mask].tolist()]
    in_turn = list(dict.fromkeys(i for source in sources for i in source))
    assert kept == in_turn[:n]
