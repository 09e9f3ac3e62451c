"""Which images a map draws: all of a small pool, a stratified sample of a large one.

Two scans of the scores, in the memory of the sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb
import numpy as np
import numpy.typing as npt

from selector.maps.strata import Stratum, allocate, row_hash

_SCORED = "status = 'ok' AND noise_value IS NOT NULL AND NOT isnan(noise_value)"
_BATCH_ROWS = 100_000


def draw_rows(
    sql: duckdb.DuckDBPyConnection, *, selections: Sequence[str], points: int, seed: int
) -> npt.NDArray[np.int64]:
    """row_ids (n,) of scored images, ascending; n = `points`, or all where there are fewer.

    Within a stratum those with the smallest hash are drawn, so that the sample is the same
    whatever the order of the rows, and a larger one contains most of a smaller.

    Args:
        sql: a connection to the run.
        selections: strata are their combinations, by class.
    """
    judged = _judged(selections)
    counts: dict[Stratum, int] = {
        (mask, label): count
        for mask, label, count in sql.sql(
            f"SELECT mask, label, count(*) FROM ({judged}) GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
    }
    if not counts:
        return np.empty(0, np.int64)
    wanted = allocate(counts, points)
    everything = sum(counts.values()) <= points
    kept: dict[Stratum, list[npt.NDArray[np.int64]]] = {stratum: [] for stratum in counts}
    for row_ids, masks, labels in _batches(sql, judged):
        hashes = row_hash(row_ids, seed)
        for stratum in {*zip(masks.tolist(), labels.tolist(), strict=True)}:
            here = (masks == stratum[0]) & (labels == stratum[1])
            if not everything:
                here &= hashes <= _limit(wanted[stratum], counts[stratum])
            kept[stratum].append(row_ids[here])
    drawn = [_smallest(np.concatenate(rows), wanted[s], seed) for s, rows in kept.items()]
    return np.sort(np.concatenate(drawn))


def _judged(selections: Sequence[str]) -> str:
    mask = " + ".join(
        f"(CASE WHEN t{i}.row_id IS NULL THEN 0 ELSE {1 << i} END)" for i in range(len(selections))
    )
    joins = " ".join(
        f'LEFT JOIN "selection_{name}" t{i} ON t{i}.row_id = s.row_id'
        for i, name in enumerate(selections)
    )
    return (
        f"SELECT s.row_id AS row_id, {mask or 0} AS mask, coalesce(s.pseudo_label, -1) AS label "
        f"FROM scores s {joins} WHERE {_SCORED}"
    )


def _batches(
    sql: duckdb.DuckDBPyConnection, judged: str
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    for batch in sql.sql(judged).to_arrow_reader(_BATCH_ROWS):
        row_ids, masks, labels = (column.to_numpy().astype(np.int64) for column in batch.columns)
        yield row_ids, masks, labels


def _limit(wanted: int, count: int) -> np.uint64:
    """A hash below which, almost certainly, at least `wanted` of `count` rows lie."""
    share = (wanted + 8 * wanted**0.5 + 16) / count
    return np.uint64(min(int(share * 2.0**64), 2**64 - 1))


def _smallest(row_ids: npt.NDArray[np.int64], wanted: int, seed: int) -> npt.NDArray[np.int64]:
    order = np.lexsort((row_ids, row_hash(row_ids, seed)))
    return row_ids[order[:wanted]]
