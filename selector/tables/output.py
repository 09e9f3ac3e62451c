"""Tables as text for machines: JSON and CSV, with one rule for what SQL types become."""

from __future__ import annotations

import csv
import datetime
import io
import json
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa


def to_json(table: pa.Table) -> str:
    """A JSON list with one object per row, columns in order.

    Binary values (content hashes) become lower-case hex, dates and times ISO 8601, decimals
    numbers; NaN and infinity, which JSON lacks, become null.
    """
    rows = [_plain(row) for row in table.to_pylist()]
    return json.dumps(rows, ensure_ascii=False, allow_nan=False)


def to_csv(table: pa.Table) -> str:
    """CSV with a header line and \\n line ends; null is empty, nested values are JSON."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in table.to_pylist():
        writer.writerow([_cell(_plain(value)) for value in row.values()])
    return out.getvalue()


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _plain(value: Any) -> Any:
    """A value of Arrow as one that JSON knows."""
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case bytes():
            return value.hex()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case float():
            return value if math.isfinite(value) else None
        case datetime.date() | datetime.time():
            return value.isoformat()
        case None | bool() | int() | str():
            return value
        case _:
            return str(value)
