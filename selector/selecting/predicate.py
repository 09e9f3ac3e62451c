"""SQL predicates of a recipe: one condition over `scores` that is the same today and tomorrow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from selector.tables.query import sql_errors
from shards.errors import UsageError


@dataclass(frozen=True)
class Predicate:
    """A predicate that binds.

    Attributes:
        expression: as DuckDB writes it: a single expression, without comments.
        tables: names of all tables that it reads, `scores` included.
        columns: of `scores` that a row needs for an answer; None if a row alone does not tell it (a
            subquery) or the columns are not named one by one.
    """

    expression: str
    tables: set[str]
    columns: tuple[str, ...] | None


def check_predicate(connection: duckdb.DuckDBPyConnection, text: str, path: str) -> Predicate:
    """Bind a predicate to the view `scores`.

    Args:
        connection: locked, so that what the predicate calls can reach nothing outside the run.
        path: place in the recipe, for messages.

    Raises:
        UsageError: no single expression, an unknown name, no condition, or a function that gives
            another answer every time.
    """
    try:
        with sql_errors(connection, text + " scores"):
            expression = str(duckdb.SQLExpression(text))
            sql = f"SELECT 1 FROM scores WHERE {expression}"
            connection.sql(sql + " LIMIT 0").fetchall()
            result = connection.sql(f"SELECT {expression} FROM scores LIMIT 0").types[0]
            nodes = list(_nodes(connection, sql))
            names = connection.sql("SELECT * FROM scores LIMIT 0").columns
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    if str(result) != "BOOLEAN":
        raise UsageError(f"{path}: {text!r} is {result}, expected a condition: true or false")
    _refuse_volatile(connection, expression, path)
    tables = {node["table_name"] for node in nodes if node.get("type") == "BASE_TABLE"}
    return Predicate(expression, tables, _columns_in(nodes, names))


def _refuse_volatile(connection: duckdb.DuckDBPyConnection, expression: str, path: str) -> None:
    """A recipe selects the same rows today and tomorrow, so neither random() nor now()."""
    rows = connection.sql(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'"
    ).fetchall()
    called = set(re.findall(r'"?(\w+)"?\s*\(', expression.lower()))
    volatile = sorted(called & {name for (name,) in rows})
    if volatile:
        raise UsageError(
            f"{path}: {volatile[0]}() gives another answer every time; for a random choice use "
            "a sample step with a seed"
        )


def _nodes(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[dict[str, Any]]:
    """Every node of a SELECT, in subqueries too, as DuckDB parses it."""
    ((parsed,),) = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    waiting: list[Any] = [json.loads(parsed)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _columns_in(nodes: Sequence[dict[str, Any]], names: Sequence[str]) -> tuple[str, ...] | None:
    """The columns that an expression reads, in the spelling of the table; None if it hides them."""
    known = {name.lower(): name for name in names}  # SQL does not tell names apart by case
    found = set()
    for node in nodes:
        if node.get("class") in ("SUBQUERY", "STAR", "WINDOW"):
            return None
        if node.get("class") == "COLUMN_REF":
            *table, last = (name.lower() for name in node["column_names"])
            if table not in ([], ["scores"]) or last not in known:
                return None
            found.add(known[last])
    return tuple(name for name in names if name in found)
