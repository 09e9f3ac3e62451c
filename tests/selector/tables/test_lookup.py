from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from selector.tables.layout import part_name
from selector.tables.lookup import find_rows
from selector.tables.read import open_parts
from selector.tables.scan import Columns, TableReader
from selector.tables.schema import column, row_id, row_id_column, table_schema

SCHEMA = table_schema("base", [row_id_column(), column("x", pa.int64(), "x")])


def _write(folder: Path, *, named: bool = True) -> Columns:
    """Three parts; every row_id that is no multiple of three has two rows, or one."""
    parts = []
    for shard in range(3):
        ids = np.repeat(row_id(shard, 0) + np.arange(12), np.arange(12) % 3)
        table = pa.table([ids, ids * 2], schema=SCHEMA)
        name = part_name(shard, 0) if named else f"part{shard}"
        parts.append(str(folder / f"{name}.parquet"))
        pq.write_table(table, parts[-1], row_group_size=5)
    return Columns("base", open_parts("base", parts), ("x",))


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_exactly_the_rows_that_are_wanted(tmp_path_factory, data: DataObject) -> None:
    columns = _write(tmp_path_factory.mktemp("lookup"), named=data.draw(st.booleans()))
    everything = columns.source.to_table()
    ids = sorted(set(everything["row_id"].to_pylist()) | {row_id(5, 0), row_id(0, 0)})
    wanted = np.array(sorted(data.draw(st.sets(st.sampled_from(ids)))), np.int64)
    found = [row for table in find_rows(columns, wanted) for row in table.to_pylist()]
    assert found == [row for row in everything.to_pylist() if row["row_id"] in wanted]


def test_row_groups_without_a_wanted_row_are_not_read(tmp_path: Path, monkeypatch) -> None:
    columns = _write(tmp_path)
    read: list[tuple[int, int]] = []
    whole = TableReader.read

    def noted(self: TableReader, file: int, group: int) -> pa.Table:
        read.append((file, group))
        return whole(self, file, group)

    monkeypatch.setattr(TableReader, "read", noted)
    assert len(list(find_rows(columns, np.array([row_id(1, 11)])))) == 1
    assert read == [(1, 2)]
