"""How a score does where the truth of a pool is known; for reports and experiments alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from selector.tables.facts import FactTable, fact_tables, find_fact, open_fact
from selector.tables.layout import RunLayout
from selector.truth import KIND


def truth_lookup(
    layout: RunLayout,
) -> Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]] | None:
    """row_ids (n,) -> 1.0 positive, 0.0 not, NaN unknown; None where the run has no truth."""
    if not fact_tables(layout, KIND):
        return None
    source = open_fact(find_fact(layout, KIND))

    def look_up(row_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        wanted = source.to_table(
            columns=["row_id", "is_positive"], filter=pc.field("row_id").isin(pa.array(row_ids))
        )
        found = np.full(len(row_ids), np.nan)
        order = np.argsort(row_ids)
        place = order[np.searchsorted(row_ids, wanted["row_id"].to_numpy(), sorter=order)]
        found[place] = wanted["is_positive"].to_numpy()
        return found

    return look_up


def against_truth(layout: RunLayout, table: FactTable, score: str) -> dict[str, Any] | None:
    """How well a score finds the positives of a pool whose truth is known; None without truth,
    or where no row of it is positive.

    Args:
        score: a column of `table`, higher is more positive; above 0 means positive.

    Returns:
        num_positives; average_precision; precision and recall of score > 0 (precision is None
        where nothing scores above 0).
    """
    look_up = truth_lookup(layout)
    if look_up is None:
        return None
    scores, truths = [], []
    for batch in open_fact(table).to_batches(columns=["row_id", score]):
        value = batch.column(score).to_numpy(zero_copy_only=False)
        truth = look_up(batch.column("row_id").to_numpy())
        known = np.isfinite(value) & np.isfinite(truth)
        scores.append(value[known])
        truths.append(truth[known] > 0)
    value, right_N = np.concatenate(scores), np.concatenate(truths)
    taken = value > 0
    right = int(right_N[taken].sum())
    if not right_N.any():
        return None
    return {
        "num_positives": int(right_N.sum()),
        "average_precision": average_precision(value, right_N),
        "precision": right / int(taken.sum()) if taken.any() else None,
        "recall": right / int(right_N.sum()),
    }


def average_precision(
    scores_N: npt.NDArray[np.floating[Any]], truth_N: npt.NDArray[np.bool_]
) -> float:
    """Mean precision at the rank of each positive, in [0, 1]; ties share their precision.

    Raises:
        ValueError: no positive.
    """
    if not truth_N.any():
        raise ValueError("no positive row; average precision is not defined")
    order = np.argsort(-scores_N, kind="stable")
    ordered, right = scores_N[order], truth_N[order].cumsum()
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    gained = np.diff(right[ends], prepend=0)
    return float((gained * right[ends] / (ends + 1)).sum() / right[-1])
