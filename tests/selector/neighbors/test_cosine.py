import numpy as np
import pytest

from selector.neighbors.cosine import CosineSpace, best_of, gather
from selector.neighbors.greedy import keep_first
from selector.neighbors.kept_index import FlatKept
from selector.neighbors.unit import cosine
from selector.neighbors.workers import workers
from tests.selector.neighbors.planted import keep_one_by_one, planted

pytest.importorskip("faiss", reason="needs the extra `cpu`")


@pytest.mark.parametrize("block_rows", [64, 1000])
def test_flat_search_is_the_rule_row_by_row(block_rows: int) -> None:
    vectors = planted(800, 16)
    ranked = np.random.default_rng(1).permutation(800)
    with workers(2) as pool:
        space = CosineSpace(
            vectors, FlatKept(16, min_similarity=0.97), min_similarity=0.97, pool=pool
        )
        outcome = keep_first(ranked, space, block_rows=block_rows)
    assert outcome.kept.tolist() == keep_one_by_one(vectors, ranked, 0.97)
    assert 100 < len(outcome.removed) < 300
    assert cosine(vectors[outcome.removed], vectors[outcome.kept_by]).min() >= 0.97


def test_a_cosine_at_the_limit_counts_whatever_float32_makes_of_it() -> None:
    pair = np.array([[1, 0], [0.6, 0.8]], np.float16)
    exactly = float(cosine(pair[:1], pair[1:])[0])
    for least, kept in ((exactly, 1), (np.nextafter(exactly, 1), 2)):
        with workers(1) as pool:
            space = CosineSpace(
                pair, FlatKept(2, min_similarity=least), min_similarity=least, pool=pool
            )
            # In one block, and in two.
            assert len(keep_first(np.arange(2), space).kept) == kept
            space = CosineSpace(
                pair, FlatKept(2, min_similarity=least), min_similarity=least, pool=pool
            )
            assert len(keep_first(np.arange(2), space, block_rows=1).kept) == kept


def test_a_hundred_thousand_copies_leave_one() -> None:
    vectors = np.broadcast_to(np.float16([1, 2, 3, 4]), (100_000, 4))
    with workers(2) as pool:
        space = CosineSpace(
            vectors, FlatKept(4, min_similarity=0.95), min_similarity=0.95, pool=pool
        )
        outcome = keep_first(np.arange(100_000)[::-1], space)
    assert outcome.kept.tolist() == [99_999]
    assert (outcome.kept_by == 99_999).all()


def test_the_nearest_is_named_and_of_equals_the_best_ranked() -> None:
    row, number = np.array([0, 0, 0, 1, 1]), np.array([7, 3, 5, 2, 9])
    near = np.array([0.96, 0.99, 0.99, 0.94, 0.9])
    assert best_of(row, number, near, 0.95, 3).tolist() == [3, -1, -1]


def test_rows_come_back_in_the_order_asked_for() -> None:
    vectors = np.arange(12, dtype=np.float16).reshape(6, 2)
    assert gather(vectors, np.array([5, 0, 3, 0])).tolist() == vectors[[5, 0, 3, 0]].tolist()
