"""Semantic duplicates through an approximate index: the promise holds, the recall is told."""

import numpy as np
import pytest

from selector.neighbors.kept_index import SearchSettings
from selector.neighbors.semantic import find_semantic
from selector.neighbors.unit import cosine
from selector.neighbors.workers import workers
from tests.selector.neighbors.planted import planted

pytest.importorskip("faiss", reason="needs the extra `cpu`")

SETTINGS = SearchSettings(lists=64, probes=8, candidates=16)


def test_lists_miss_little_invent_nothing_and_threads_change_nothing() -> None:
    vectors = planted(12_000, 32)
    ranked = np.random.default_rng(1).permutation(12_000)
    found = []
    for threads, settings in ((1, SETTINGS), (3, SETTINGS), (2, None)):
        with workers(threads) as pool:
            one = find_semantic(vectors, ranked, epsilon=0.03, pool=pool, settings=settings)
        found.append(one)
        outcome = one.outcome
        assert sorted([*outcome.kept, *outcome.removed]) == list(range(12_000))
        near = cosine(vectors[outcome.removed], vectors[outcome.kept_by])
        assert near.min() >= 0.97
        assert set(outcome.kept_by.tolist()) <= set(outcome.kept.tolist())
        np.testing.assert_array_equal(one.similarity, near)
    np.testing.assert_array_equal(found[0].outcome.kept_by, found[1].outcome.kept_by)
    exact, approximate = found[2], found[0]
    assert exact.recall["recall"] == 1.0
    truth = len(approximate.outcome.removed) / len(exact.outcome.removed)
    assert 0.9 < truth <= 1.0
    assert approximate.recall["recall"] == pytest.approx(truth, abs=0.05)
    assert approximate.recall["sampled"] == 1000
