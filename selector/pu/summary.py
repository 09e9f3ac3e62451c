"""What a scored pool looks like to its PU classifier: counts and histograms, in one scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from selector.tables.facts import FactTable, open_fact

BINS = 60


def summarize(table: FactTable, scores: Mapping[str, npt.NDArray[np.float32]]) -> dict[str, Any]:
    """Counts of a PU table, and histograms of raw scores.

    Args:
        scores: of "positives" (trained on), "held_out" and "pool" (held-out rows), for the range
            and the first two histograms.

    Returns:
        num_pool: rows; num_scored: those with a score; num_selected: those with F > 0;
        probability_sum; histograms: edges (BINS + 1), counts of pool, positives, held_out. Scores
        beyond the edges count in the outermost bins.
    """
    every = np.concatenate(list(scores.values()))
    low, high = float(every.min()), float(every.max())
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    counts = np.zeros(BINS, np.int64)
    totals = {"num_pool": 0, "num_scored": 0, "num_selected": 0}
    probability_sum = 0.0
    for batch in open_fact(table).to_batches(columns=["pu_score", "pu_prob"]):
        found = batch.column("pu_score").drop_null().to_numpy(zero_copy_only=False)
        totals["num_pool"] += batch.num_rows
        totals["num_scored"] += len(found)
        totals["num_selected"] += int((found > 0).sum())
        probability_sum += float(
            batch.column("pu_prob").drop_null().to_numpy(zero_copy_only=False).sum(dtype=np.float64)
        )
        counts += _counts(found, edges)
    return {
        **totals,
        "probability_sum": probability_sum,
        "histograms": {
            "edges": edges.tolist(),
            "pool": counts.tolist(),
            "positives": _counts(scores["positives"], edges).tolist(),
            "held_out": _counts(scores["held_out"], edges).tolist(),
        },
    }


def _counts(
    scores: npt.NDArray[np.float32], edges: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    clipped = np.clip(scores.astype(np.float64), edges[0], edges[-1])
    return np.histogram(clipped, edges)[0].astype(np.int64)
