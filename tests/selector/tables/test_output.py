import csv
import datetime
import io
import json
from decimal import Decimal
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from selector.tables.output import (
    to_csv,
    to_json,
    write_arrow,
    write_csv,
    write_json,
    write_parquet,
)

TABLE = pa.table(
    {
        "hash": pa.array([b"\x00\xff", None], pa.binary(2)),
        "value": [0.5, float("nan")],
        "amount": pa.array([Decimal("3"), Decimal("2.5")]),
        "day": [datetime.date(2020, 1, 2), None],
        "nested": [{"a": [1, 2]}, None],
        "text": ['comma, "quote"\nline', "ä"],
    }
)


def test_json_is_one_object_per_row() -> None:
    assert json.loads(to_json(TABLE)) == [
        {
            "hash": "00ff",
            "value": 0.5,
            "amount": 3,
            "day": "2020-01-02",
            "nested": {"a": [1, 2]},
            "text": 'comma, "quote"\nline',
        },
        {"hash": None, "value": None, "amount": 2.5, "day": None, "nested": None, "text": "ä"},
    ]


def test_float32_keeps_its_value() -> None:
    value = pa.array([0.1], pa.float32())
    assert json.loads(to_json(pa.table({"x": value})))[0]["x"] == value[0].as_py()


def test_csv_reads_back() -> None:
    rows = list(csv.reader(io.StringIO(to_csv(TABLE))))
    assert rows[0] == TABLE.column_names
    assert rows[1] == ["00ff", "0.5", "3", "2020-01-02", '{"a": [1, 2]}', 'comma, "quote"\nline']
    assert rows[2] == ["", "", "2.5", "", "", "ä"]


def test_an_empty_answer_keeps_its_columns() -> None:
    assert to_json(TABLE.slice(0, 0)) == "[]"
    assert to_csv(TABLE.slice(0, 0)) == "hash,value,amount,day,nested,text\n"


def test_batches_are_written_as_they_come() -> None:
    table = pa.table({"a": list(range(10)), "b": [None, "x"] * 5})
    pieces = [piece for at in range(0, 10, 3) for piece in table.slice(at, 3).to_batches()]
    for write, read in (
        (write_parquet, pq.read_table),
        (write_arrow, lambda data: pa.ipc.open_file(data).read_all()),
        (partial(write_arrow, stream=True), lambda data: pa.ipc.open_stream(data).read_all()),
        (write_json, lambda data: pa.Table.from_pylist(json.load(data))),
    ):
        out = OnlyWritten()
        assert write(out, table.schema, iter(pieces)) == 10
        assert read(io.BytesIO(out.content)).to_pylist() == table.to_pylist()
    out = OnlyWritten()
    assert write_csv(out, table.schema, iter(pieces)) == 10
    assert out.content.decode() == to_csv(table)


def test_no_rows_are_a_valid_file_too() -> None:
    schema = pa.schema([("a", pa.int64())])
    out = OnlyWritten()
    assert write_json(out, schema, []) == 0
    assert json.loads(out.content) == []
    assert to_csv(schema.empty_table()) == "a\n"


class OnlyWritten:
    """What a pipe offers: no seek, no tell."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, data: bytes) -> int:
        self.content += bytes(data)
        return len(data)
