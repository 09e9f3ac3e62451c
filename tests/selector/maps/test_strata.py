"""strata: how a sample is divided, and which rows are drawn."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from selector.maps.strata import allocate, fill_evenly, fill_in_proportion, row_hash

SIZES = st.lists(st.integers(0, 200), min_size=1, max_size=8)


@given(SIZES, st.integers(0, 500))
def test_even_shares_are_complete_and_fair(sizes: list[int], total: int) -> None:
    filled = fill_evenly(sizes, total)
    assert sum(filled) == min(total, sum(sizes))
    assert all(0 <= share <= size for share, size in zip(filled, sizes, strict=True))
    # Whoever got less than another, by more than a remainder, had no more to give.
    assert all(
        share == size or share >= max(filled) - 1 - len(sizes)
        for share, size in zip(filled, sizes, strict=True)
    )


@given(SIZES, st.integers(0, 500))
def test_proportional_shares_differ_from_proportion_by_less_than_one(
    sizes: list[int], total: int
) -> None:
    filled = fill_in_proportion(sizes, total)
    total = min(total, sum(sizes))
    assert sum(filled) == total
    for share, size in zip(filled, sizes, strict=True):
        assert abs(share - size * total / max(sum(sizes), 1)) < 1


def test_a_small_selection_is_drawn_whole_beside_a_large_pool() -> None:
    counts = {(0, c): 100_000 for c in range(10)} | {(1, c): 20 for c in range(10)}
    drawn = allocate(counts, 1000)
    assert sum(drawn.values()) == 1000
    assert all(drawn[1, c] == 20 for c in range(10))
    assert all(drawn[0, c] == 80 for c in range(10))


def test_fewer_images_than_points_are_all_drawn() -> None:
    counts = {(0, 0): 3, (1, 4): 2}
    assert allocate(counts, 100) == counts


def test_hashes_are_the_same_everywhere_and_spread() -> None:
    hashes = row_hash(np.arange(5), 0)
    assert hashes[:2].tolist() == [16294208416658607535, 10451216379200822465]
    many = row_hash(np.arange(10_000) << 32, 7) / 2.0**64
    assert abs(many.mean() - 0.5) < 0.02
    assert (row_hash(np.arange(5), 1) != hashes).all()
