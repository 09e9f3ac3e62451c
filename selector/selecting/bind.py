"""Binding a recipe to a run: recipe -> plan, or an error that names the place in the recipe."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from selector.recipe_model import RANDOM, Balance, Exclude, Fill, Quota, Recipe, Sample, Take
from selector.recipe_model import Diverse as DiverseStep
from selector.recipe_model import Step as RecipeStep
from selector.selecting import exclusions
from selector.selecting.plan import (
    Combine,
    Diverse,
    Flag,
    Limit,
    Listed,
    Order,
    Plan,
    Rank,
    SourceColumn,
    Step,
)
from selector.selecting.predicate import Predicate, check_predicate
from selector.tables.connection import RunTables
from selector.tables.schema import direction_of
from shards.errors import UsageError

NOT_FACTS = ("scores", "members")


def bind(
    recipe: Recipe,
    connection: duckdb.DuckDBPyConnection,
    tables: RunTables,
    *,
    class_names: list[str] | None,
    selection_hashes: Mapping[str, str],
) -> Plan:
    """Check a recipe against the tables of a run.

    Args:
        connection: to these tables (`connect_tables`).
        class_names: of the teacher, None if unknown.
        selection_hashes: view of each stored selection -> hash of its recipe, for a recipe whose
            predicates refer to another selection.

    Raises:
        UsageError: an unknown column or fact table, a column of the wrong type, wrong SQL; with
            the path in the recipe and a suggestion.
        StorageError: an exclusion list cannot be read.
    """
    binder = _Binder(connection, tables)
    where = recipe.source.where
    where_reads: tuple[str, ...] | None = ()
    if where is not None:
        predicate = binder.predicate(where, "source.where")
        where, where_reads = predicate.expression, predicate.columns
    steps = tuple(binder.step(step, f"steps[{i}]") for i, step in enumerate(recipe.steps))
    versions = {**tables.versions, **selection_hashes}
    used = {name.lower() for name in binder.used}  # SQL does not tell names apart by case
    return Plan(
        status_ok=recipe.source.status == "ok",
        where=where,
        where_reads=where_reads,
        columns=tuple(binder.columns.values()),
        steps=steps,
        tables={name: versions[name] for name in sorted(versions) if name.lower() in used},
        list_hashes=binder.list_hashes,
        class_names=class_names,
    )


@dataclass
class _Binder:
    """What is gathered while the steps are walked."""

    connection: duckdb.DuckDBPyConnection
    tables: RunTables
    columns: dict[str, SourceColumn] = field(default_factory=dict)
    list_hashes: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=lambda: {"scores"})

    def step(self, step: RecipeStep, path: str) -> Step:
        name, options = next((k, v) for k, v in step if v is not None)
        alias = RecipeStep.model_fields[name].alias or name
        path = f"{path}.{alias}"
        match options:
            case str():
                return self._where(options, path)
            case Exclude():
                return self._exclude(options, path)
            case Take():
                return self._take(options, path)
            case Quota() | Balance():
                return self._quota(options, path)
            case DiverseStep():
                return self._diverse(options, path)
            case Sample():
                order = _draw(options.seed)
                label = f"sample {options.n} at random (seed {options.seed})"
                return Rank(path, label, order, options.n, None, None, options.shortage)
            case Fill():
                parts = self._parts(options.sources, f"{path}.from")
                for part in parts:
                    if not isinstance(part, Rank | Limit):
                        raise UsageError(
                            f"{part.path}: found a step without an order, expected take, "
                            "quota or sample: fill takes rows in the order of their step"
                        )
                label = f"fill up to {options.n} from: " + "; ".join(p.label for p in parts)
                return Combine(path, label, "fill", parts, options.n, options.shortage)
            case _:
                how: Literal["all", "any"] = "all" if alias == "all" else "any"
                parts = self._parts(options, path)
                label = f"{how} of: " + "; ".join(part.label for part in parts)
                return Combine(path, label, how, parts)

    def _parts(self, steps: list[RecipeStep], path: str) -> tuple[Step, ...]:
        return tuple(self.step(step, f"{path}[{i}]") for i, step in enumerate(steps))

    def _where(self, text: str, path: str) -> Flag:
        found = self.predicate(text, path)
        self.columns[path] = SourceColumn(path, "flag", found.expression, None, found.columns)
        return Flag(path, f"where {text.strip()}", path, keep=True)

    def _exclude(self, options: Exclude, path: str) -> Flag | Listed:
        if options.duplicates is not None:
            name = f"{self._duplicates_kind(options.duplicates)}.duplicate_of"
            column = self._column(name, f"{path}.duplicates")
            flag = f"{name} IS NOT NULL"
            self.columns[flag] = replace(column, name=flag, kind="present")
            return Flag(path, f"exclude duplicates of {options.duplicates}", flag, keep=False)
        if isinstance(options.entries, str):
            entries = exclusions.read_list(options.entries)
            self.list_hashes[options.entries] = exclusions.list_hash(entries)
            label = f"exclude list {options.entries.rpartition('/')[2]}"
        else:
            entries = tuple(options.entries or ())
            label = f"exclude {len(entries)} listed"
        found = exclusions.resolve(self.connection, entries)
        warning = found.warning()
        return Listed(path, label, found.row_ids, f"{path}: {warning}" if warning else None)

    def _duplicates_kind(self, name: str) -> str:
        """`semantic` means the fact table duplicates_semantic, unless there is one of that name."""
        if name in self.tables.versions:
            return name
        grade = f"duplicates_{name}"
        return grade if grade in self.tables.versions else name

    def _take(self, options: Take, path: str) -> Rank | Limit:
        order = self._order(options, path)
        if options.threshold is not None:
            limit = options.threshold
            if order.single:  # so that 0.1 in the recipe equals the 0.1 that is stored
                limit = float(np.float32(limit))
            sign = "<=" if order.sign > 0 else ">="
            label = f"take {order.column or 'random draw'} {sign} {options.threshold:g}"
            return Limit(path, label, order, limit * order.sign)
        amount = f"{options.n}" if options.n is not None else f"a share of {options.quantile:g},"
        label = f"take {amount} {order.words}"
        return Rank(path, label, order, options.n, options.quantile, None, options.shortage)

    def _quota(self, options: Quota | Balance, path: str) -> Rank:
        order = self._order(options, path)
        column = self._column(options.by, f"{path}.by")
        self._require(options.by, f"{path}.by", column, pa.types.is_integer, "whole numbers")
        # Two steps may rank by a column as a number and group by it as an integer.
        name = f"group {options.by}"
        self.columns[name] = replace(column, name=name, kind="integer")
        if isinstance(options, Balance):
            label = f"balance {options.n} {order.words} over {options.by}"
            return Rank(path, label, order, options.n, None, name, options.shortage, balanced=True)
        label = f"quota of {options.n} {order.words} per {options.by}"
        return Rank(path, label, order, options.n, None, name, options.shortage)

    def _diverse(self, options: DiverseStep, path: str) -> Diverse:
        order = self._order(options, path)
        source = self.tables.views.get(options.features)
        kinds = [view for view in self.tables.versions if view.split("_")[0] == "features"]
        if options.features not in kinds or not isinstance(source, ds.Dataset):
            raise UsageError(
                f"{path}.features: the run has no {options.features!r}; it has "
                f"{', '.join(kinds) or 'none: `coursepack score ... --features full` adds them'}"
            )
        self.used.add(options.features)
        name = None
        if options.by is not None:
            column = self._column(options.by, f"{path}.by")
            self._require(options.by, f"{path}.by", column, pa.types.is_integer, "whole numbers")
            name = f"group {options.by}"
            self.columns[name] = replace(column, name=name, kind="integer")
        of_each = f" of each {options.by}" if options.by else ""
        label = f"the {options.n} most diverse{of_each}, {order.words} first"
        return Diverse(path, label, order, options.n, name, options.shortage, source)

    def _order(self, options: Take | Quota | Balance | DiverseStep, path: str) -> Order:
        if options.order == RANDOM:
            return _draw(options.seed or 0)
        path = f"{path}.order"
        column = self._column(options.order, path)
        data_type = self._require(options.order, path, column, _is_number, "numbers")
        self.columns[column.name] = column
        descending = options.descending
        if descending is None:
            schema = self.tables.views[column.fact or "scores"].schema
            descending = direction_of(schema.field(_last(options.order))) == "higher"
        words = f"{'highest' if descending else 'lowest'} {options.order}"
        single = bool(pa.types.is_float32(data_type))
        return Order(column.name, -1 if descending else 1, 0, single, words)

    def _column(self, name: str, path: str) -> SourceColumn:
        """The column `name` of scores, or `kind.name` of a fact table."""
        kind, _, bare = name.rpartition(".")
        facts = [fact for fact in self.tables.versions if fact not in NOT_FACTS]
        if kind and kind not in facts:
            raise UsageError(
                f"{path}: the run has no fact table {kind!r}; it has {', '.join(facts) or 'none'}"
            )
        names = self.tables.views[kind or "scores"].schema.names
        if bare not in names:
            close = difflib.get_close_matches(bare, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names)}"
            raise UsageError(f"{path}: {kind or 'scores'} has no column {bare!r}; {hint}")
        if kind:
            self.used.add(kind)
        return SourceColumn(name, "number", f'"{bare}"', kind or None, (bare,))

    def _require(
        self, name: str, path: str, column: SourceColumn, fits: Any, expected: str
    ) -> pa.DataType:
        schema = self.tables.views[column.fact or "scores"].schema
        data_type = schema.field(_last(name)).type
        if not fits(data_type):
            usable = ", ".join(f.name for f in schema if fits(f.type) and f.name != "row_id")
            raise UsageError(
                f"{path}: {name} is {data_type}, expected a column of {expected}: {usable}"
            )
        return data_type

    def predicate(self, text: str, path: str) -> Predicate:
        """`text` as DuckDB writes it, after binding it to `scores`."""
        checked = check_predicate(self.connection, text, path)
        self.used |= checked.tables
        return checked


def _draw(seed: int) -> Order:
    return Order(None, 1, seed, False, f"at random (seed {seed})")


def _is_number(data_type: pa.DataType) -> bool:
    return bool(pa.types.is_integer(data_type) or pa.types.is_floating(data_type))


def _last(name: str) -> str:
    return name.rpartition(".")[2]
