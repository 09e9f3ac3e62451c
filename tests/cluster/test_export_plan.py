from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cluster.export_plan import shuffled, unique_keys


@given(st.lists(st.sampled_from(["a", "b", "a-1", "c/d"]), max_size=30))
def test_output_keys_are_unique_and_a_unique_key_stays(keys: list[str]) -> None:
    output = unique_keys(keys, range(len(keys)))
    assert len(set(output)) == len(keys)
    for before, after in zip(keys, output, strict=True):
        assert after == before if keys.count(before) == 1 else after.startswith(f"{before}-")


def test_the_order_is_a_permutation_that_the_seed_alone_decides() -> None:
    assert sorted(shuffled(1000, 1)) == list(range(1000))
    assert np.array_equal(shuffled(1000, 1), shuffled(1000, 1))
    assert not np.array_equal(shuffled(1000, 1), shuffled(1000, 2))
