"""What an index finds of the truth, measured on a sample of its own vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from selector.neighbors.exact_search import nearest
from selector.neighbors.unit import unit
from selector.neighbors.workers import Workers

if TYPE_CHECKING:
    from selector.neighbors.search import NeighborIndex

QUERIES = 500
NEIGHBOURS = 10


def measure_recall(opened: NeighborIndex, pool: Workers) -> dict[str, Any]:
    """Recall@10: of the true 10 nearest of a vector, itself apart, the share that is found.

    A found vector counts where its cosine is at least that of the true tenth: of equally near ones
    any will do.

    Returns:
        k, queries, recall_at_k in [0, 1] (None with fewer than 11 vectors), exact (nothing can be
        missed).
    """
    size = opened.file.size
    answer: dict[str, Any] = {"k": NEIGHBOURS, "queries": 0, "exact": opened.index is None}
    if size <= NEIGHBOURS:
        return {**answer, "recall_at_k": None}
    if opened.index is None:
        return {**answer, "recall_at_k": 1.0}
    queries = np.linspace(0, size - 1, min(QUERIES, size)).astype(np.int64)
    vectors = opened.file.vectors[queries]
    truth = nearest(opened.file.vectors, unit(vectors), k=NEIGHBOURS + 1, pool=pool)[1]
    numbers, near = opened.search(vectors, k=NEIGHBOURS + 1, pool=pool)
    # Whoever it is compared with: the query itself is the nearest of its own.
    others = numbers != queries[:, None]
    tenth = truth[:, -1:].astype(np.float64) - 1e-6
    hits = (others & (near >= tenth)).sum(axis=1).clip(max=NEIGHBOURS)
    share = float(hits.mean() / NEIGHBOURS)
    return {**answer, "queries": len(queries), "recall_at_k": round(share, 4)}
