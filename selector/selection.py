"""Selecting: a recipe and a run in, a named list of row_ids out.

    run/selections/<name>/recipe.yaml        the recipe as it was carried out
    run/selections/<name>/selection.parquet  row_id, weight, reason; sorted by row_id
    run/selections/<name>/stats.json         rows in and out and the cuts of every step

The same recipe on the same tables writes the same bytes, and is not written twice.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from selector.recipe import Recipe, load_recipe, recipe_hash, recipe_text
from selector.selecting.bind import bind
from selector.selecting.pipeline import Outcome, counts_first, run_plan
from selector.selecting.plan import Plan
from selector.selecting.source import Chunk, candidates
from selector.selecting.stream import Scanned, can_stream, stream
from selector.tables.connection import (
    DEFAULT_MEMORY_LIMIT,
    RunTables,
    class_names,
    connect_tables,
    run_tables,
)
from selector.tables.layout import RunLayout
from selector.tables.schema import selection_schema
from selector.tables.selections import selection_names, selection_part, selection_stats
from selector.tables.write import write_part
from shards import atomic, storage
from shards.errors import UsageError

_SHOWN_DIFFERENCES = 6

OnRows = Callable[[int, int], None]


@dataclass(frozen=True)
class Selection:
    """A stored selection.

    Attributes:
        path: its directory.
        stats: content of stats.json; `stats["warnings"]` is what the user should hear.
        written: False if it was there already.
    """

    name: str
    num_rows: int
    path: str
    stats: dict[str, Any]
    written: bool


def select(
    run: str,
    recipe: Recipe | Mapping[str, Any] | str,
    name: str | None = None,
    *,
    n: int | None = None,
    overwrite: bool = False,
    memory_limit: str = DEFAULT_MEMORY_LIMIT,
    threads: int | None = None,
    on_rows: OnRows | None = None,
) -> Selection:
    """Carry out a recipe on the newest tables of a run, and store the result under a name.

    Memory: the rows that the first comparing step keeps, twice, and a few chunks; not the pool.

    Args:
        recipe: a recipe, or whatever `load_recipe` reads (a file, a ready recipe's name, data).
        name: the recipe's own name if not given.
        n: replaces the n of the recipe's only step that has one.
        overwrite: replace a selection of this name that another recipe or other tables made.
        memory_limit, threads: of DuckDB, see `connect`.
        on_rows: called now and then with rows read so far and rows to read in all.

    Raises:
        UsageError: a wrong recipe, a name that is taken by another selection, an empty result,
            too few rows where the recipe does not accept that.
        StorageError: a table or list cannot be read, or the result cannot be written.
    """
    layout = RunLayout(run)
    recipe = _loaded(recipe, n)
    name = name if name is not None else recipe.name
    if name is None:
        raise UsageError("the selection has no name: give --name, or a `name:` in the recipe")
    folder = layout.selection_dir(name)
    _refuse_other_case(layout, name)
    tables = run_tables(layout)
    with connect_tables(tables, memory_limit=memory_limit, threads=threads) as connection:
        plan = bind(
            recipe,
            connection,
            tables,
            class_names=class_names(layout),
            selection_hashes=_selection_hashes(layout),
        )
        if f"selection_{name}" in plan.tables:
            raise UsageError(f"the recipe reads selection {name!r}, which it would replace")
        identity = {
            "recipe_hash": recipe_hash(recipe, list_hashes=plan.list_hashes),
            "tables": dict(plan.tables),
        }
        there = selection_stats(layout, name)
        if there is not None:
            if all(there[key] == value for key, value in identity.items()):
                return Selection(name, there["num_rows"], folder, there, written=False)
            if not overwrite:
                raise UsageError(_taken(layout, name, recipe, there, identity))
        outcome, num_pool_rows = _carry_out(connection, tables, plan, on_rows)
    stats = _stats(name, identity, plan, num_pool_rows, outcome)
    _store(layout, name, recipe, outcome, stats)
    return Selection(name, len(outcome.row_ids), folder, stats, written=True)


def _loaded(recipe: Recipe | Mapping[str, Any] | str, n: int | None) -> Recipe:
    if not isinstance(recipe, Recipe):
        return load_recipe(recipe, n=n)
    if n is not None:
        return load_recipe(recipe_text(recipe), n=n)
    return recipe


def _refuse_other_case(layout: RunLayout, name: str) -> None:
    """SQL does not tell names apart by case, nor do some file systems."""
    for other in selection_names(layout):
        if other != name and other.lower() == name.lower():
            raise UsageError(f"selection {other!r} differs from {name!r} by case alone; choose one")


def _selection_hashes(layout: RunLayout) -> dict[str, str]:
    hashes = {}
    for name in selection_names(layout):
        stats = selection_stats(layout, name)
        if stats is not None:
            hashes[f"selection_{name}"] = f"{stats['recipe_hash']} {stats['tables']}"
    return hashes


def _taken(
    layout: RunLayout,
    name: str,
    recipe: Recipe,
    there: dict[str, Any],
    identity: dict[str, Any],
) -> str:
    reasons = []
    if there["recipe_hash"] != identity["recipe_hash"]:
        uri = storage.join(layout.selection_dir(name), "recipe.yaml")
        old = storage.read_bytes(uri).decode() if storage.exists(uri) else ""
        lines = difflib.ndiff(old.splitlines(), recipe_text(recipe).splitlines())
        changed = [" ".join(line.split()) for line in lines if line[0] in "-+"]
        shown = "; ".join(changed[:_SHOWN_DIFFERENCES]) or "the content of its lists"
        reasons.append(f"another recipe ({shown})")
    if there["tables"] != identity["tables"]:
        reasons.append(f"other tables (there: {there['tables']}, now: {identity['tables']})")
    return (
        f"selection {name!r} is there already, made by {' and '.join(reasons)}; choose another "
        "name, or replace it with --overwrite"
    )


def _carry_out(
    connection: duckdb.DuckDBPyConnection, tables: RunTables, plan: Plan, on_rows: OnRows | None
) -> tuple[Outcome, int]:
    """What the plan selects, and how many rows the scores table has."""
    if not can_stream(plan, tables):
        outcome = run_plan(plan, lambda: candidates(connection, plan))
        return outcome, tables.views["scores"].count_rows()
    passes = 2 if counts_first(plan) else 1
    rows_before = rows_now = 0

    def told(scanned: Scanned) -> None:
        nonlocal rows_now
        rows_now = scanned.rows
        if on_rows is not None:
            on_rows(rows_before + rows_now, passes * scanned.total_rows)

    def counted() -> Iterator[Chunk]:
        nonlocal rows_before
        yield from stream(connection, tables, plan, with_hash=False, on_scanned=told)
        rows_before = rows_now

    ranked = partial(stream, connection, tables, plan, on_scanned=told)
    outcome = run_plan(plan, ranked, counting=counted)
    return outcome, rows_now


def _stats(
    name: str, identity: dict[str, Any], plan: Plan, num_pool_rows: int, outcome: Outcome
) -> dict[str, Any]:
    """The content of stats.json: what was asked of what, and what each step did."""
    return {
        "name": name,
        **identity,
        "lists": dict(plan.list_hashes),
        "num_pool_rows": num_pool_rows,
        "num_candidates": outcome.num_candidates,
        "num_rows": len(outcome.row_ids),
        "steps": outcome.steps,
        "warnings": list(outcome.warnings),
    }


def _store(
    layout: RunLayout, name: str, recipe: Recipe, outcome: Outcome, stats: dict[str, Any]
) -> None:
    """Write the three files; stats.json says that the others are complete, so it goes last."""
    folder = layout.selection_dir(name)
    stats_uri = storage.join(folder, "stats.json")
    storage.remove(stats_uri)
    reason = pa.DictionaryArray.from_arrays(
        pa.array(outcome.reason.astype(np.int32)), pa.array(outcome.labels, pa.string())
    )
    weight = pa.array(np.ones(len(outcome.row_ids), dtype=np.float32))
    table = pa.table([pa.array(outcome.row_ids), weight, reason], schema=selection_schema())
    write_part(selection_part(layout, name), table)
    atomic.write_bytes(storage.join(folder, "recipe.yaml"), recipe_text(recipe).encode())
    text = json.dumps(stats, indent=1, ensure_ascii=False, allow_nan=False)
    atomic.write_bytes(stats_uri, (text + "\n").encode())
