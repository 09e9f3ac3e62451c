"""The rows of a query as a table for eyes, JSON, CSV or Parquet, to standard output or a file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

from cluster.cli.plain import to_json, to_plain
from cluster.cli.text import printable

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.table import Table

Format = Literal["table", "json", "csv", "parquet"]

MAX_ROWS_SHOWN = 1000
"""A table for eyes stops here; the other formats hold every row."""


def rich_table(rows: pa.Table, *, limit: int | None = MAX_ROWS_SHOWN) -> Table:
    """At most `limit` rows, numbers to the right, nothing read as markup."""
    shown = json.loads(encode(rows.slice(0, limit), "json"))
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


def encode(rows: pa.Table, form: Format) -> bytes:
    """All rows in `form`; JSON is one array of objects, a `table` is text without a row limit."""
    return _ENCODERS[form](rows)


def _encode_json(rows: pa.Table) -> bytes:
    from selector.tables.output import to_json as rows_to_json

    return rows_to_json(rows).encode() + b"\n"


def _encode_csv(rows: pa.Table) -> bytes:
    from selector.tables.output import to_csv

    return to_csv(rows).encode()


def _encode_parquet(rows: pa.Table) -> bytes:
    import pyarrow.parquet

    sink = io.BytesIO()
    pyarrow.parquet.write_table(rows, sink, compression="zstd")
    return sink.getvalue()


def _encode_table(rows: pa.Table) -> bytes:
    from rich.console import Console

    sink = io.StringIO()
    Console(file=sink, width=10_000, highlight=False).print(rich_table(rows, limit=None))
    return sink.getvalue().encode()


def _is_number(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


_ENCODERS: dict[str, Callable[[pa.Table], bytes]] = {
    "table": _encode_table,
    "json": _encode_json,
    "csv": _encode_csv,
    "parquet": _encode_parquet,
}
