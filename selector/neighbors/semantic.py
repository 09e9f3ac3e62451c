"""Semantic duplicates: images whose features point the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from selector.neighbors.build import even_sample
from selector.neighbors.cosine import CosineSpace, similarities
from selector.neighbors.greedy import IntArray, Outcome, keep_first
from selector.neighbors.index_kind import train_rows
from selector.neighbors.kept_index import (
    FlatKept,
    KeptIndex,
    ListedKept,
    SearchSettings,
    search_settings,
)
from selector.neighbors.unit import Half, cosine, unit
from selector.neighbors.workers import Workers, ranges
from shards.errors import UsageError

DEFAULT_EPSILON = 0.01
"""Cautious: of unrelated CIFAR-10 test images 0.3 % have another one that near in the features of
a small teacher (ResNet-20), 83 % at 0.05. Teachers that tell more apart allow more."""

RECALL_SAMPLE = 1000


@dataclass(frozen=True)
class Semantic:
    """Semantic duplicates among M ranked vectors.

    Attributes:
        outcome: in numbers of vectors.
        similarity: (R,) cosine of each removed vector and the kept one.
        search: how kept vectors were searched.
        recall: `sampled` kept vectors were compared with every better-ranked kept one; `missed`
            of them have one within epsilon. `recall` is the share of the duplicates that were
            removed, estimated from that; 1 when the search is exact.
    """

    outcome: Outcome
    similarity: npt.NDArray[np.float64]
    search: SearchSettings
    recall: dict[str, Any]


def check_epsilon(epsilon: float) -> None:
    """Raise UsageError unless 0 <= epsilon < 1."""
    if not 0 <= epsilon < 1:
        raise UsageError(
            f"epsilon {epsilon:g}: expected a cosine distance from 0 to below 1, such as "
            f"{DEFAULT_EPSILON} (images are duplicates from a similarity of "
            f"{1 - DEFAULT_EPSILON} on)"
        )


def find_semantic(
    vectors: Half,
    ranked: IntArray,
    *,
    epsilon: float,
    pool: Workers,
    settings: SearchSettings | None = None,
    seed: int = 0,
    on_rows: Callable[[int], None] = lambda done: None,
) -> Semantic:
    """Remove every vector that has a kept one within epsilon.

    The result is that of ranked, vectors and seed alone. What was removed is checked once more at
    the end, all of it.

    Args:
        vectors: (N, D) usable ones; may be mapped.
        ranked: (M,) numbers of vectors, the best first.
        settings: None = exact where that takes about a minute, else IVF-PQ.

    Raises:
        UsageError: epsilon out of range.
    """
    check_epsilon(epsilon)
    least = 1.0 - epsilon
    settings = settings or search_settings(len(ranked), vectors.shape[1])
    index = _empty_index(vectors, ranked, settings, least, seed)
    space = CosineSpace(vectors, index, min_similarity=least, pool=pool)
    outcome = keep_first(ranked, space, on_rows=on_rows)
    similarity = similarities(vectors, outcome.removed, outcome.kept_by)
    _check(outcome, similarity, least)
    if settings.exact:
        recall: dict[str, Any] = {"recall": 1.0, "sampled": 0, "missed": 0}
    else:
        recall = _measure(vectors, outcome, least, pool)
    return Semantic(outcome, similarity, settings, recall)


def _empty_index(
    vectors: Half, ranked: IntArray, settings: SearchSettings, least: float, seed: int
) -> KeptIndex:
    if settings.exact:
        return FlatKept(vectors.shape[1], min_similarity=least)
    # Evenly over the ranking, which no order of shards changes.
    sample = ranked[even_sample(len(ranked), train_rows(len(ranked), settings.lists))]
    training = np.empty((len(sample), vectors.shape[1]), np.float16)
    order = np.argsort(sample)
    training[order] = vectors[sample[order]]
    return ListedKept(unit(training), settings, min_similarity=least, seed=seed)


def _check(outcome: Outcome, similarity: npt.NDArray[np.float64], least: float) -> None:
    """The promise, over all rows; that it holds is no matter of the user's input."""
    assert not len(similarity) or float(similarity.min()) >= least
    assert np.isin(outcome.kept_by, outcome.kept).all()


def _measure(vectors: Half, outcome: Outcome, least: float, pool: Workers) -> dict[str, Any]:
    """How many duplicates are left among the kept, from an exact look at a sample of them."""
    places = even_sample(len(outcome.kept), RECALL_SAMPLE)
    queries = vectors[outcome.kept[places]]
    units = unit(queries)

    def missed_in(rows: slice) -> npt.NDArray[np.bool_]:
        others = outcome.kept[rows]
        block = np.empty((len(others), vectors.shape[1]), np.float16)
        order = np.argsort(others)
        block[order] = vectors[others[order]]
        similar = units @ unit(block).T
        query, other = np.nonzero(similar >= least - 1e-5)
        better = other + rows.start < places[query]
        query, other = query[better], other[better]
        close = cosine(queries[query], block[other]) >= least
        return np.bincount(query[close], minlength=len(places)) > 0

    missed = np.zeros(len(places), bool)
    for found in pool.map(missed_in, ranges(len(outcome.kept), 16_384)):
        missed |= found
    left = float(missed.mean()) * len(outcome.kept)
    removed = len(outcome.removed)
    recall = removed / (removed + left) if removed + left else 1.0
    return {"recall": round(recall, 5), "sampled": len(places), "missed": int(missed.sum())}
