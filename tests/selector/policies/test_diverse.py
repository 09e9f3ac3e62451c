import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from selector.policies.columns import Columns
from selector.policies.diverse import farthest_first
from tests.selector.policies.reference import columns, sorted_rows

CORNERS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)


def one_by_one(rows: Columns, units: np.ndarray, n: int, group: int) -> set[int]:
    ranked = sorted_rows(rows, group)
    taken = ranked[:1]
    while taken and len(taken) < min(n, len(ranked)):
        far = [
            (min(1 - float(units[row] @ units[other]) for other in taken), -place, row)
            for place, row in enumerate(ranked)
            if row not in taken
        ]
        taken.append(max(far)[2])
    return set(taken)


@settings(max_examples=60)
@given(columns(num_groups=2, max_size=15), st.integers(1, 6), st.data())
def test_always_the_farthest_row_of_each_group(rows: Columns, n: int, data: st.DataObject) -> None:
    # Right angles: every distance is 0, 1 or 2, so nothing hangs on rounding.
    corner = data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    units = CORNERS[np.array(corner, np.int64)].reshape(len(rows), 2)
    mask = farthest_first(rows, units, n=n, num_groups=2)
    expected = one_by_one(rows, units, n, 0) | one_by_one(rows, units, n, 1)
    assert set(np.flatnonzero(mask).tolist()) == expected


def test_the_corners_come_before_the_crowd() -> None:
    rng = np.random.default_rng(0)
    crowd = np.float32([1, 0]) + 0.01 * rng.standard_normal((50, 2)).astype(np.float32)
    units = np.concatenate([crowd, CORNERS[1:]])
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    zeros = np.zeros(53, np.uint64)
    rows = Columns(np.arange(53), np.arange(53.0), zeros, zeros, np.zeros(53, np.int64))
    mask = farthest_first(rows, units.astype(np.float32), n=4, num_groups=1)
    assert np.flatnonzero(mask).tolist() == [0, 50, 51, 52]
