"""The rows of a query as a table for eyes, or in a format for other tools, to stdout or a file."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from cluster.cli.plain import to_json, to_plain
from cluster.cli.text import printable

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.table import Table

    from selector.tables.query import Answer

Format = Literal["table", "json", "csv", "parquet", "arrow"]

MAX_ROWS_SHOWN = 1000
"""A table for eyes stops here; the other formats hold every row."""


def rich_table(rows: pa.Table, *, limit: int | None = MAX_ROWS_SHOWN) -> Table:
    """At most `limit` rows, numbers to the right, nothing read as markup."""
    from selector.tables.output import to_json as rows_to_json

    shown = json.loads(rows_to_json(rows.slice(0, limit)))
    numeric = {field.name for field in rows.schema if _is_number(field.type)}
    return text_table(
        rows.column_names,
        ([entry[name] for name in rows.column_names] for entry in shown),
        right=numeric,
    )


def text_table(
    columns: Iterable[str], rows: Iterable[Iterable[Any]], *, right: Iterable[str] = ()
) -> Table:
    """A plain table of any values; `right` names the columns that hold numbers."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    right = set(right)
    for name in columns:
        table.add_column(
            Text(printable(name)), justify="right" if name in right else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(cell_text(value)) for value in row))
    return table


def cell_text(value: Any) -> str:
    """One value for eyes: null as empty, floats to 6 significant digits, one line."""
    value = to_plain(value)
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return printable(value).replace("\n", "\\n").replace("\t", "\\t")
    return str(value) if isinstance(value, bool | int) else to_json(value)


def as_text(rows: pa.Table) -> bytes:
    """A table for eyes with all its rows."""
    from rich.console import Console

    sink = io.StringIO()
    Console(file=sink, width=10_000, highlight=False).print(rich_table(rows, limit=None))
    return sink.getvalue().encode()


def write(answer: Answer, form: Format, file: BinaryIO, *, stream: bool = False) -> int:
    """All rows of an answer in `form`, batch by batch (a `table` apart); how many they were.

    Args:
        stream: `arrow` in the form that can be read while it is written.
    """
    import pyarrow as pa

    from selector.tables import output

    match form:
        case "json":
            return output.write_json(file, answer.schema, answer.batches)
        case "csv":
            return output.write_csv(file, answer.schema, answer.batches)
        case "parquet":
            return output.write_parquet(file, answer.schema, answer.batches)
        case "arrow":
            return output.write_arrow(file, answer.schema, answer.batches, stream=stream)
        case "table":
            rows = pa.Table.from_batches(answer.batches, schema=answer.schema)
            file.write(as_text(rows))
            return int(rows.num_rows)


def _is_number(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))
