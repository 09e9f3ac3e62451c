"""The rule on the line of whole numbers: rows are near where they differ by at most 2."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from selector.neighbors.greedy import first_kept, keep_first


class Line:
    def __init__(self, places: np.ndarray) -> None:
        self.places = places
        self.kept = np.empty(0, np.int64)

    def load(self, rows):
        return self.places[rows]

    def find_kept(self, block):
        near = np.abs(block[:, None] - self.kept) <= 2
        return np.where(near.any(axis=1), near.argmax(axis=1), -1)

    def close_pairs(self, block):
        near = np.triu(np.abs(block[:, None] - block) <= 2, 1)
        return np.nonzero(near)

    def keep(self, block, rows):
        self.kept = np.concatenate([self.kept, block])


def one_by_one(places: list[int]) -> list[int]:
    kept: list[int] = []
    for row, place in enumerate(places):
        if all(abs(place - places[other]) > 2 for other in kept):
            kept.append(row)
    return kept


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 20))
def test_it_is_the_rule_row_by_row_whatever_the_blocks(places: list[int], block_rows: int) -> None:
    line = Line(np.array(places, np.int64))
    outcome = keep_first(np.arange(len(places)), line, block_rows=block_rows)
    assert outcome.kept.tolist() == one_by_one(places)
    assert sorted([*outcome.kept.tolist(), *outcome.removed.tolist()]) == list(range(len(places)))
    for row, keeper in zip(outcome.removed.tolist(), outcome.kept_by.tolist(), strict=True):
        assert abs(places[row] - places[keeper]) <= 2
        assert keeper < row
        assert keeper in outcome.kept


def test_likeness_is_no_chain() -> None:
    """0 - 2 - 4: the middle one is near both, the ends are not near each other."""
    best_middle = keep_first(np.array([1, 0, 2]), Line(np.array([0, 2, 4])))
    assert best_middle.kept.tolist() == [1]
    best_end = keep_first(np.array([0, 1, 2]), Line(np.array([0, 2, 4])))
    assert best_end.kept.tolist() == [0, 2]
    assert best_end.kept_by.tolist() == [0]


def test_a_removed_row_removes_nothing() -> None:
    by = first_kept(np.array([0, 1, 1]), np.array([1, 2, 3]), 4)
    assert by.tolist() == [-1, 0, -1, -1]
    assert first_kept(np.empty(0, np.int64), np.empty(0, np.int64), 2).tolist() == [-1, -1]


def test_progress_ends_at_the_last_row() -> None:
    seen: list[int] = []
    keep_first(np.arange(10), Line(np.arange(10)), block_rows=4, on_rows=seen.append)
    assert seen == [4, 8, 10]
