"""What a part counts: images, bytes, statuses, features; see `PartResult.counters`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from selector.scoring.decode_job import DecodeTimes
from selector.scoring.forward import Reply
from selector.scoring.rows import RowBatch
from selector.tables.schema import STATUSES


def take_features(rows: RowBatch, reply: Reply, counters: defaultdict[str, float]) -> None:
    """Features of a batch into its rows, and how many there are."""
    if reply.features is None:  # no image of the batch has pixels
        return
    features = reply.features
    null = rows.set_features(features.values.numpy(), features.valid.numpy())
    assert rows.has_features is not None
    clipped = features.clipped.numpy()[: len(rows)] & rows.has_features
    counters["features"] += int(rows.has_features.sum())
    counters["features_null"] += int(null.sum())
    counters["features_clipped"] += int(clipped.sum())


def count_rows(rows: RowBatch, counters: defaultdict[str, float]) -> None:
    """Images of a batch, their bytes, and what became of them."""
    counters["images"] += len(rows)
    counters["bytes"] += sum(filter(None, rows.num_bytes))
    for status, count in Counter(rows.status).items():
        counters[f"status_{status}"] += count
        if status != "ok":
            counters["failed"] += count


def complete(counters: Mapping[str, float]) -> dict[str, float]:
    """Every counter of `PartResult`, also those that nothing happened to."""
    statuses = [f"status_{status}" for status in STATUSES]
    names = ("images", "failed", "bytes", "forward_halved", *statuses)
    seconds = ("wait_read_s", "wait_decode_s", "model_s", "forward_s", *vars(DecodeTimes()))
    return {name: 0.0 for name in (*names, *seconds)} | {k: float(v) for k, v in counters.items()}
