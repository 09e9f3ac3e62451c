"""SQL predicates of a recipe: one condition over `scores` that is the same today and tomorrow."""

from __future__ import annotations

import json
import re
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
    """

    expression: str
    tables: set[str]


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
            tables = _tables_in(connection, sql)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    if str(result) != "BOOLEAN":
        raise UsageError(f"{path}: {text!r} is {result}, expected a condition: true or false")
    _refuse_volatile(connection, expression, path)
    return Predicate(expression, tables)


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


def _tables_in(connection: duckdb.DuckDBPyConnection, sql: str) -> set[str]:
    """Names of the tables that a SELECT reads, in subqueries too, as DuckDB parses it."""
    ((parsed,),) = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    found: set[str] = set()
    waiting: list[Any] = [json.loads(parsed)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if node.get("type") == "BASE_TABLE":
                found.add(node["table_name"])
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return found
