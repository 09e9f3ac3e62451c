from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selector.policies.columns import Columns, Mask
from selector.policies.quota import quota
from selector.policies.ranking import smallest
from selector.policies.running import Running
from tests.selector.policies.reference import columns, kept_ids

NUM_GROUPS = 4
POLICIES: dict[str, Callable[[Columns, int], Mask]] = {
    "smallest": lambda rows, n: smallest(rows, n=n),
    "accept": lambda rows, n: quota(rows, n=n, num_groups=NUM_GROUPS, shortage="accept"),
    "redistribute": lambda rows, n: quota(
        rows, n=n, num_groups=NUM_GROUPS, shortage="redistribute"
    ),
}


@pytest.mark.parametrize("name", POLICIES)
@given(
    rows=columns(num_groups=NUM_GROUPS),
    n=st.integers(1, 12),
    chunk=st.integers(1, 9),
    buffer_rows=st.integers(1, 20),
    random=st.randoms(use_true_random=False),
)
def test_any_chunking_and_order_keeps_the_same_rows(
    name: str, rows: Columns, n: int, chunk: int, buffer_rows: int, random
) -> None:
    policy = POLICIES[name]
    expected = kept_ids(rows, policy(rows, n))
    index = np.array(random.sample(range(len(rows)), len(rows)), dtype=np.int64)
    running = Running(partial(policy, n=n), num_groups=NUM_GROUPS, buffer_rows=buffer_rows)
    for start in range(0, len(rows), chunk):
        part = rows.at(index[start : start + chunk])
        running.add(part, {"twice": part.row_id * 2})
    survivors = running.survivors()
    if survivors is None:
        assert expected == set()
        return
    kept, payload = survivors
    assert set(kept.row_id.tolist()) == expected
    np.testing.assert_array_equal(payload["twice"], kept.row_id * 2)


@given(columns(num_groups=NUM_GROUPS), st.integers(1, 7))
def test_it_counts_what_it_saw(rows: Columns, chunk: int) -> None:
    running = Running(partial(smallest, n=2), num_groups=NUM_GROUPS, buffer_rows=3)
    for start in range(0, len(rows), chunk):
        running.add(rows.at(np.arange(start, min(start + chunk, len(rows)))), {})
    usable = ~np.isnan(rows.order) & (rows.group >= 0)
    expected = np.bincount(rows.group[usable], minlength=NUM_GROUPS)
    assert running.num_by_group.tolist() == expected.tolist()
    assert running.num_unranked == int((~usable).sum())


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_memory_follows_the_selection_not_the_stream(direction: float) -> None:
    # The worst stream brings ever better rows: each of them has to be looked at.
    n, chunk, chunks = 100, 50, 400
    running = Running(partial(smallest, n=n), buffer_rows=chunk)
    for number in range(chunks):
        ids = np.arange(number * chunk, (number + 1) * chunk)
        zeros = np.zeros(chunk, dtype=np.uint64)
        running.add(
            Columns(ids, direction * ids.astype(float), zeros, zeros, np.zeros(chunk, np.int64)), {}
        )
    assert running.peak_rows <= 2 * n + chunk
    assert running.num_by_group.sum() == chunk * chunks
    survivors = running.survivors()
    assert survivors is not None
    ids = np.sort(survivors[0].row_id)
    first = 0 if direction > 0 else chunk * chunks - n
    assert ids.tolist() == list(range(first, first + n))
