"""Asking a run for what its report shows: SQL that counts, and a few rows of the pool.

Costs two or three scans of the scores table: seconds per ten million images.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import yaml

from selector.report.facts import Classes, Failure, Histogram, Origin, RunFacts
from selector.report.stats import IntArray, bin_counts, log_bins
from selector.tables.connection import connect
from selector.tables.layout import RunLayout
from selector.tables.selections import known_selection_stats
from shards import storage
from shards.sample import IMAGE_EXTENSIONS

GALLERY_ROWS = 100_000
"""A gallery is chosen from about so many kept and so many dropped rows; more are thinned."""

EXAMPLES_PER_STATUS = 5

_SCORED = "status = 'ok' AND noise_value IS NOT NULL AND NOT isnan(noise_value)"


def gather(run: str, selection: str) -> RunFacts:
    """Everything that the report of a selection shows, but for the pixels.

    Raises:
        UsageError: not a run, or no selection of that name.
        StorageError: a listed table is missing or damaged.
    """
    layout = RunLayout(run)
    stats = known_selection_stats(layout, selection)
    recipe = storage.read_bytes(storage.join(layout.selection_dir(selection), "recipe.yaml"))
    num_selected = int(stats["num_rows"])
    with connect(run) as sql:
        sql.execute(
            "CREATE TEMP VIEW judged AS SELECT s.*, t.row_id IS NOT NULL AS selected "
            f'FROM scores s LEFT JOIN "selection_{selection}" t USING (row_id)'
        )
        status_counts = sql.sql(
            "SELECT status, count(*) FROM scores GROUP BY 1 ORDER BY status <> 'ok', 2 DESC, 1"
        ).fetchall()
        num_rows = sum(count for _, count in status_counts)
        kept_step, dropped_step = _step(num_selected), _step(num_rows - num_selected)
        return RunFacts(
            run=layout.root,
            selection=selection,
            origin=_origin(layout),
            num_rows=num_rows,
            num_selected=num_selected,
            status_counts=tuple(status_counts),
            histogram=_histogram(sql),
            classes=_classes(sql),
            kept=_candidates(sql, selected=True, step=kept_step),
            dropped=_candidates(sql, selected=False, step=dropped_step),
            thinned=max(kept_step, dropped_step) > 1,
            failures=tuple(_failure(sql, *pair) for pair in status_counts if pair[0] != "ok"),
            stats=stats,
            recipe=recipe.decode(),
            shards=sql.sql("SELECT * FROM shards ORDER BY shard_id").to_arrow_table(),
        )


def _step(num_rows: int) -> int:
    """One row in so many makes a gallery's candidates."""
    return max(1, -(-num_rows // GALLERY_ROWS))


def _origin(layout: RunLayout) -> Origin:
    """From provenance.json and config.yaml; what an old or copied run lacks stays empty."""
    provenance = _mapping(layout.provenance, json.loads)
    semantic = _mapping(layout.config, yaml.safe_load).get("semantic", {})
    calls = provenance.get("calls") or [{}]
    teacher = provenance.get("teacher", {})
    return Origin(
        teacher=str(teacher.get("name") or semantic.get("teacher") or ""),
        fingerprint=str(teacher.get("fingerprint") or semantic.get("teacher_fingerprint") or ""),
        semantic_hash=str(provenance.get("semantic_hash", "")),
        scored_at=str(calls[-1].get("at", "")),
        version=str(calls[-1].get("versions", {}).get("coursepack", "")),
        image_ext=tuple(semantic.get("image_ext") or IMAGE_EXTENSIONS),
    )


def _mapping(uri: str, parse: Any) -> dict[str, Any]:
    try:
        content = parse(storage.read_bytes(uri)) if storage.exists(uri) else {}
    except (ValueError, yaml.YAMLError):  # damaged: the page comes out without it
        return {}
    return content if isinstance(content, dict) else {}


def _histogram(sql: duckdb.DuckDBPyConnection) -> Histogram | None:
    """None where no image has a positive noise value."""
    low, high = sql.sql(
        f"SELECT min(noise_value), max(noise_value) FROM scores WHERE {_SCORED} AND noise_value > 0"
    ).fetchall()[0]
    if low is None:
        return None
    bins = log_bins(low, high)
    # A value of exactly 0 (float32 has no smaller one) goes to the first bin.
    rows = sql.execute(
        "SELECT CAST(floor((log10(greatest(noise_value, 1e-45)) - $low) * $per_decade) AS BIGINT), "
        f"count(*), count(*) FILTER (selected) FROM judged WHERE {_SCORED} GROUP BY 1",
        {"low": bins.low, "per_decade": bins.per_decade},
    ).fetchall()
    index, pool, selected = _columns(rows, 3)
    return Histogram(
        bins,
        bin_counts(index, pool, num_bins=bins.num_bins),
        bin_counts(index, selected, num_bins=bins.num_bins),
    )


def _classes(sql: duckdb.DuckDBPyConnection) -> Classes:
    named = sql.sql("SELECT name FROM classes ORDER BY pseudo_label").fetchall()
    label, pool, selected = _columns(
        sql.sql(
            "SELECT pseudo_label, count(*), count(*) FILTER (selected) FROM judged "
            "WHERE pseudo_label IS NOT NULL GROUP BY 1"
        ).fetchall(),
        3,
    )
    num_classes = max(len(named), int(label.max(initial=-1)) + 1)
    names = [name for (name,) in named] + [str(c) for c in range(len(named), num_classes)]
    return Classes(
        tuple(names),
        bin_counts(label, pool, num_bins=num_classes),
        bin_counts(label, selected, num_bins=num_classes),
    )


def _columns(rows: Sequence[tuple[int, ...]], width: int) -> list[IntArray]:
    return list(np.array(rows, dtype=np.int64).reshape(-1, width).T)


def _candidates(sql: duckdb.DuckDBPyConnection, *, selected: bool, step: int) -> pa.Table:
    """Scored rows of one side, thinned by a hash of row_id: the same rows on every call."""
    return sql.sql(
        "SELECT row_id, shard_id, key, pseudo_label, noise_value, content_hash FROM judged "
        f"WHERE selected = $selected AND {_SCORED} AND hash(row_id) % $step = 0 ORDER BY row_id",
        params={"selected": selected, "step": step},
    ).to_arrow_table()


def _failure(sql: duckdb.DuckDBPyConnection, status: str, count: int) -> Failure:
    examples = sql.sql(
        "SELECT row_id, key, shard, error FROM scores WHERE status = $status "
        "ORDER BY row_id LIMIT $most",
        params={"status": status, "most": EXAMPLES_PER_STATUS},
    ).to_arrow_table()
    return Failure(status, count, tuple(examples.to_pylist()))
