"""Two selections of a run beside each other: what only one of them has, by class, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from selector.explain import explain_rows
from selector.policies.columns import IntArray
from selector.policies.draw import random_order
from selector.scoring.run_views import views_of_run
from selector.tables.connection import (
    DEFAULT_MEMORY_LIMIT,
    RunTables,
    class_names,
    connect_tables,
    run_tables,
)
from selector.tables.layout import RunLayout
from selector.tables.selections import known_selection_stats, read_selection
from selector.tables.views import quoted
from selector.teachers.spec import ViewsName
from shards.errors import CoursepackError

SAMPLE = 200
"""Rows of either side of which it is told why the other selection lacks them."""


@dataclass(frozen=True)
class Side:
    """What only one of two selections has.

    Attributes:
        name: of the selection that has these rows.
        num_rows: of the selection; `only`: those that the other one lacks.
        reasons: why the other one lacks them: step of its recipe (or "source") -> rows, of a sample
            of `sampled` of them, drawn by row_id; the step that drops most first.
        examples: row_id, key, shard, pseudo_label, class_name, why (one sentence).
        untold: what kept the reasons from being told, "" if nothing did.
    """

    name: str
    num_rows: int
    only: int
    sampled: int
    reasons: Mapping[str, int]
    examples: list[dict[str, Any]]
    untold: str = ""


@dataclass(frozen=True)
class SelectionDiff:
    """Two selections compared.

    Attributes:
        both: rows that both have; `jaccard`: their share of the rows that either has, 0 .. 1.
        classes: pseudo_label, class_name, only_a, only_b, both; those that differ most first.
        views: over which views of an image the run's scores are averages; "one" = none are.
        warnings: what makes the comparison less than it seems.
    """

    a: Side
    b: Side
    both: int
    jaccard: float
    classes: list[dict[str, Any]]
    views: ViewsName = "one"
    warnings: list[str] = field(default_factory=list)


def diff_selections(
    run: str,
    a: str,
    b: str,
    *,
    examples: int = 5,
    memory_limit: str = DEFAULT_MEMORY_LIMIT,
) -> SelectionDiff:
    """Compare the selections `a` and `b` of a run.

    Memory: both selections, and what SQL needs to look up their classes.

    Args:
        examples: rows of either side to show, at most.

    Raises:
        UsageError: no such selection.
        StorageError: a table cannot be read.
    """
    layout = RunLayout(run)
    stats = {name: known_selection_stats(layout, name) for name in (a, b)}
    rows_a, rows_b = (read_selection(layout, name)["row_id"].to_numpy() for name in (a, b))
    only_a = np.setdiff1d(rows_a, rows_b, assume_unique=True)
    only_b = np.setdiff1d(rows_b, rows_a, assume_unique=True)
    both = len(rows_a) - len(only_a)
    tables = run_tables(layout)
    return SelectionDiff(
        a=_side(layout, a, b, len(rows_a), only_a, examples),
        b=_side(layout, b, a, len(rows_b), only_b, examples),
        both=both,
        jaccard=both / max(1, len(only_a) + len(only_b) + both),
        classes=_by_class(tables, a, b, class_names(layout), memory_limit),
        views=views_of_run(layout),
        warnings=_warnings(a, b, stats),
    )


def _side(
    layout: RunLayout, name: str, other: str, num_rows: int, only: IntArray, examples: int
) -> Side:
    """What `name` alone has, and why `other` lacks it."""
    drawn = only[np.argsort(random_order(only, seed=0))][:SAMPLE]
    try:
        told = explain_rows(layout, drawn.tolist(), selection=other) if len(drawn) else []
    except CoursepackError as error:  # a list that has changed, a table that is gone
        return Side(name, num_rows, len(only), 0, {}, [], untold=str(error))
    dropped = Counter(_dropped_by(row["steps"]) for row in told)
    if absent := len(drawn) - len(told):
        dropped[f"not in the tables of {other}"] = absent
    shown = ("row_id", "key", "shard", "pseudo_label", "class_name", "why")
    return Side(
        name,
        num_rows,
        len(only),
        len(drawn),
        dict(dropped.most_common()),
        [{key: row[key] for key in shown} for row in told[:examples]],
    )


def _dropped_by(steps: Sequence[Mapping[str, Any]]) -> str:
    step = next(step for step in steps if step["decision"] == "out")
    return f"{step['step']} ({step['label']})" if step["step"] != step["label"] else step["label"]


def _by_class(
    tables: RunTables, a: str, b: str, names: list[str] | None, memory_limit: str
) -> list[dict[str, Any]]:
    sql = f"""
        SELECT pseudo_label, count(*) FILTER (NOT in_b) AS only_a,
            count(*) FILTER (NOT in_a) AS only_b, count(*) FILTER (in_a AND in_b) AS both
        FROM (
            SELECT coalesce(a.row_id, b.row_id) AS row_id,
                a.row_id IS NOT NULL AS in_a, b.row_id IS NOT NULL AS in_b
            FROM {quoted(f"selection_{a}")} a
            FULL JOIN {quoted(f"selection_{b}")} b ON a.row_id = b.row_id
        ) JOIN scores USING (row_id)
        GROUP BY 1 ORDER BY only_a + only_b DESC, pseudo_label
    """
    with connect_tables(tables, memory_limit=memory_limit) as connection:
        rows = connection.sql(sql).to_arrow_table().to_pylist()
    for row in rows:
        label = row["pseudo_label"]
        named = names is not None and label is not None and 0 <= label < len(names)
        row["class_name"] = names[label] if names is not None and named else None
    return rows


def _warnings(a: str, b: str, stats: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if stats[a]["tables"] == stats[b]["tables"]:
        return []
    shared = stats[a]["tables"].keys() & stats[b]["tables"].keys()
    other = sorted(kind for kind in shared if stats[a]["tables"][kind] != stats[b]["tables"][kind])
    if not other:
        return []
    return [
        f"{a} and {b} were selected from different versions of {', '.join(other)}; some rows may "
        "differ for that reason alone"
    ]
