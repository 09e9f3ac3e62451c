"""Where the panels of a report ask: SQL over the run, with the selection marked in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import yaml

from selector.report.facts import Origin, RunFacts
from selector.report.reach import shards_in_reach
from selector.tables.connection import connect
from selector.tables.layout import RunLayout
from selector.tables.selections import known_selection_stats
from shards import storage
from shards.sample import IMAGE_EXTENSIONS

SCORED = "status = 'ok' AND noise_value IS NOT NULL AND NOT isnan(noise_value)"
"""SQL: the images that have scores."""


@dataclass(frozen=True)
class Source:
    """What a panel may ask.

    Attributes:
        sql: a locked connection to the run (see `selector.tables.connection.connect`). Besides the
            run's own views it has `judged`: scores with a column `selected`, and with `compared`
            where another selection is compared (null otherwise); and `reach` (shard_id): the
            shards whose images may be shown.
        layout: paths of the run, for fact tables and files of its own.
        facts: what all panels need.
        compare: name of the selection to compare with, None if there is none.
        students: folders that `coursepack distill` wrote.
    """

    sql: duckdb.DuckDBPyConnection
    layout: RunLayout
    facts: RunFacts
    compare: str | None = None
    students: tuple[str, ...] = ()

    def has(self, view: str) -> bool:
        """Whether the run has a table or view of that name, such as `pu` or `map`."""
        found = self.sql.execute(
            "SELECT count(*) FROM duckdb_views() WHERE view_name = $view", {"view": view}
        ).fetchall()  # to the end: the connection answers nothing else before
        return bool(found[0][0])


@contextmanager
def open_source(
    run: str, selection: str, *, compare: str | None = None, students: Sequence[str] = ()
) -> Iterator[Source]:
    """Open a run for a report. Costs two scans of the scores: seconds per ten million images.

    Raises:
        UsageError: not a run, or no selection of that name.
        StorageError: a listed table is missing or damaged.
    """
    layout = RunLayout(run)
    stats = known_selection_stats(layout, selection)
    if compare is not None:
        known_selection_stats(layout, compare)
    recipe = storage.read_bytes(storage.join(layout.selection_dir(selection), "recipe.yaml"))
    with connect(run) as sql:
        _mark_selections(sql, selection, compare)
        shards = sql.sql("SELECT * FROM shards ORDER BY shard_id").to_arrow_table()
        status_counts = sql.sql(
            "SELECT status, count(*) FROM scores GROUP BY 1 ORDER BY status <> 'ok', 2 DESC, 1"
        ).fetchall()
        selected = sql.sql(
            f'SELECT row_id >> 32, count(*) FROM "selection_{selection}" GROUP BY 1'
        ).fetchall()
        reach = shards_in_reach(shards, dict(selected))
        sql.execute("CREATE TEMP TABLE reach (shard_id INTEGER)")
        sql.execute("INSERT INTO reach SELECT unnest($ids::INTEGER[])", {"ids": sorted(reach)})
        facts = RunFacts(
            run=layout.root,
            selection=selection,
            origin=read_origin(layout),
            num_rows=sum(count for _, count in status_counts),
            num_selected=int(stats["num_rows"]),
            status_counts=tuple(status_counts),
            class_names=_class_names(sql),
            stats=stats,
            recipe=recipe.decode(),
            shards=shards,
            reach=reach,
        )
        yield Source(sql, layout, facts, compare, tuple(students))


def _mark_selections(sql: duckdb.DuckDBPyConnection, selection: str, compare: str | None) -> None:
    compared, join = "NULL::BOOLEAN", ""
    if compare is not None:
        compared = "c.row_id IS NOT NULL"
        join = f'LEFT JOIN "selection_{compare}" c ON c.row_id = s.row_id'
    sql.execute(
        "CREATE TEMP VIEW judged AS "
        f"SELECT s.*, t.row_id IS NOT NULL AS selected, {compared} AS compared FROM scores s "
        f'LEFT JOIN "selection_{selection}" t ON t.row_id = s.row_id {join}'
    )


def _class_names(sql: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    names = [n for (n,) in sql.sql("SELECT name FROM classes ORDER BY pseudo_label").fetchall()]
    (last,) = sql.sql("SELECT max(pseudo_label) FROM scores").fetchall()[0]
    return tuple(names) + tuple(str(c) for c in range(len(names), -1 if last is None else last + 1))


def read_origin(layout: RunLayout) -> Origin:
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
        views=str(semantic.get("views", "one")),
    )


def _mapping(uri: str, parse: Any) -> dict[str, Any]:
    try:
        content = parse(storage.read_bytes(uri)) if storage.exists(uri) else {}
    except (ValueError, yaml.YAMLError):  # damaged: the page comes out without it
        return {}
    return content if isinstance(content, dict) else {}
