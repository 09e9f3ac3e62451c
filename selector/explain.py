"""Why an image is in a selection or not: what each step decided, in words.

Nothing is selected anew: the cuts that the selection stored decide, so an explanation cannot
differ from what was done. That the outcome agrees with the stored rows is checked all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow.compute as pc

from selector.recipe import load_recipe
from selector.scoring.run_views import views_of_run
from selector.selecting import exclusions
from selector.selecting.bind import bind
from selector.selecting.decide import Decision, decide
from selector.selecting.plan import Plan
from selector.selecting.rows import take_rows
from selector.selecting.source import STATUS_FLAG, WHERE_FLAG, Chunk, single_rows
from selector.tables.connection import class_names, connect_tables, run_tables
from selector.tables.layout import RunLayout
from selector.tables.read import open_parts
from selector.tables.selections import known_selection_stats, selection_part
from selector.teachers.spec import ViewsName
from shards import storage
from shards.errors import CoursepackError, UsageError

MAX_ROWS = 1000
"""A key or hash that more rows share is explained for the first of them."""


def explain(run: str, key: str | int, *, selection: str) -> list[dict[str, Any]]:
    """Tell for every row that `key` means why it is in a selection, or why not.

    Args:
        key: key of a sample; a row_id, if no sample has that key; or a content hash (32 hex
            digits). `key:`, `row_id:` or `hash:` in front settles which.
        selection: name of a selection of the run.

    Returns:
        One dict per row, sorted by row_id: row_id, key, shard, status, pseudo_label, class_name
        (None if unknown), selected (bool), why (one sentence), steps: a list of dicts with step
        (path in the recipe), label, decision (in, out, not reached) and text; and views, over which
        the scores are averages ("one" = none are).

    Raises:
        UsageError: no such selection; nothing in its tables is called `key`; an exclusion list
            has changed since.
        StorageError: a table or an exclusion list cannot be read.
        CoursepackError: the stored rows contradict the stored cuts.
    """
    layout = RunLayout(run)
    with _opened(layout, selection) as opened:
        row_ids = exclusions.resolve(opened.connection, [str(key)]).row_ids[:MAX_ROWS].tolist()
        if not row_ids:
            raise UsageError(
                f"no row of {layout.root} has the key or row_id {key!r} (scores, version "
                f"{opened.stats['tables']['scores']}, from which {selection!r} was selected); "
                f'keys: coursepack query {layout.root} "SELECT key FROM scores LIMIT 5"'
            )
        return _explained(layout, opened, row_ids, selection)


def explain_rows(layout: RunLayout, row_ids: list[int], *, selection: str) -> list[dict[str, Any]]:
    """As `explain`, for rows by row_id; those that the selection's tables lack are left out."""
    with _opened(layout, selection) as opened:
        return _explained(layout, opened, row_ids, selection)


@dataclass(frozen=True)
class _Opened:
    """A selection's recipe, bound to the tables that it was carried out on."""

    connection: duckdb.DuckDBPyConnection
    plan: Plan
    stats: Mapping[str, Any]
    names: list[str] | None
    views: ViewsName


@contextmanager
def _opened(layout: RunLayout, selection: str) -> Iterator[_Opened]:
    stats = known_selection_stats(layout, selection)
    versions = {k: v for k, v in stats["tables"].items() if isinstance(v, int)}
    tables = run_tables(layout, versions=versions)
    recipe = load_recipe(storage.join(layout.selection_dir(selection), "recipe.yaml"))
    names = class_names(layout)
    with connect_tables(tables) as connection:
        plan = bind(recipe, connection, tables, class_names=names, selection_hashes={})
        _refuse_changed_lists(plan, stats, selection)
        yield _Opened(connection, plan, stats, names, views_of_run(layout))


def _explained(
    layout: RunLayout, opened: _Opened, row_ids: list[int], selection: str
) -> list[dict[str, Any]]:
    chunk, scores = single_rows(opened.connection, opened.plan, row_ids)
    selected = open_parts("selection", [selection_part(layout, selection)]).to_table(
        columns=["row_id"], filter=pc.field("row_id").isin(row_ids)
    )
    inside = set(selected["row_id"].to_pylist())
    found = []
    for at, row in enumerate(scores.to_pylist()):
        steps = _steps(opened.plan, opened.stats["steps"], take_rows(chunk, np.array([at])))
        _check(selection, row["row_id"], steps, row["row_id"] in inside)
        match = _match(row, opened.names, steps, row["row_id"] in inside, selection)
        found.append({**match, "views": opened.views})
    return found


def _refuse_changed_lists(plan: Plan, stats: Mapping[str, Any], selection: str) -> None:
    for uri, content_hash in plan.list_hashes.items():
        if stats["lists"].get(uri) != content_hash:
            raise UsageError(
                f"{uri} has changed since {selection!r} was selected, so its effect cannot be "
                "told; select again with --overwrite"
            )


def _steps(plan: Plan, entries: Sequence[Mapping[str, Any]], row: Chunk) -> list[dict[str, Any]]:
    """The source and every step; after the first that says no, the others are not reached."""
    source = Decision(True, "status is ok" if plan.status_ok else "any status is taken")
    if not row[STATUS_FLAG][0]:
        source = Decision(False, "status is not ok")
    elif not row[WHERE_FLAG][0]:
        source = Decision(False, f"not true: {plan.where}")
    elif plan.where is not None:
        source = Decision(True, f"true: {plan.where}")
    label = "source" + (f" where {plan.where}" if plan.where is not None else "")
    told = [_told("source", label, source)]
    reached = source.kept
    for step, entry in zip(plan.steps, entries, strict=True):
        if not reached:
            told.append(_told(step.path, step.label, None))
            continue
        decision = decide(step, entry, row)
        reached = decision.kept
        told.append(_told(step.path, step.label, decision))
    return told


def _told(path: str, label: str, decision: Decision | None) -> dict[str, Any]:
    if decision is None:
        return {"step": path, "label": label, "decision": "not reached", "text": ""}
    verdict = "in" if decision.kept else "out"
    return {"step": path, "label": label, "decision": verdict, "text": decision.text}


def _check(selection: str, row_id: int, steps: list[dict[str, Any]], inside: bool) -> None:
    if inside != all(step["decision"] == "in" for step in steps):
        raise CoursepackError(
            f"row {row_id} is {'in' if inside else 'not in'} the file of selection {selection!r}, "
            "which contradicts its stored cuts: the file is damaged; select again with --overwrite"
        )


def _match(
    row: Mapping[str, Any],
    names: Sequence[str] | None,
    steps: list[dict[str, Any]],
    inside: bool,
    selection: str,
) -> dict[str, Any]:
    label = row["pseudo_label"]
    named = names is not None and label is not None and 0 <= label < len(names)
    last = steps[-1] if inside else next(step for step in steps if step["decision"] == "out")
    verdict = f"in {selection}" if inside else f"not in {selection}"
    status = "" if row["status"] == "ok" else f" ({row['status']}: {row['error']})"
    return {
        "row_id": row["row_id"],
        "key": row["key"],
        "shard": row["shard"],
        "status": row["status"],
        "pseudo_label": label,
        "class_name": names[label] if names is not None and named else None,
        "selected": inside,
        "why": f"{row['key']} is {verdict}: {last['step']}: {last['text']}{status}",
        "steps": steps,
    }
