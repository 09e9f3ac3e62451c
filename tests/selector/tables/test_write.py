import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selector.tables.layout import RunLayout
from selector.tables.read import read_table_list, table_parts
from selector.tables.schema import fact_schema, members_schema, scores_schema
from selector.tables.vectors import encode_vectors, vector_column
from selector.tables.write import (
    ROWS_PER_GROUP,
    conform,
    rows_per_group,
    write_part,
    write_table_list,
)
from tests.support.runs import write_run


def test_same_rows_same_bytes_however_they_arrived(tmp_path: Path) -> None:
    table = write_run(tmp_path / "run").scores
    pieces = pa.concat_tables([table.slice(150), table.slice(0, 0)])
    whole = pa.concat_tables([table.slice(0, 7), table.slice(7, 143), pieces])
    write_part(str(tmp_path / "a.parquet"), table)
    write_part(str(tmp_path / "b.parquet"), whole)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_dictionaries_do_not_tell_how_they_were_built(tmp_path: Path) -> None:
    table = write_run(tmp_path / "run").scores
    at = table.schema.get_field_index("status")
    other = pa.DictionaryArray.from_arrays(
        pa.array([1 if s == "ok" else 2 for s in table["status"].to_pylist()], pa.int32()),
        pa.array(["crashed", "ok", "undecodable"]),
    )
    write_part(str(tmp_path / "a.parquet"), table)
    write_part(str(tmp_path / "b.parquet"), table.set_column(at, table.schema.field(at), other))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_part_keeps_values_types_and_metadata(tmp_path: Path) -> None:
    table = write_run(tmp_path / "run").scores
    write_part(str(tmp_path / "a.parquet"), table)
    back = pq.read_table(tmp_path / "a.parquet")
    assert back.to_pylist() == table.to_pylist()
    assert back.schema.equals(scores_schema(), check_metadata=True)


def test_a_table_that_does_not_say_what_it_is_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"selector\.tables\.schema"):
        write_part(str(tmp_path / "a.parquet"), pa.table({"row_id": [1]}))
    assert list(tmp_path.iterdir()) == []


def test_conform_orders_and_casts_and_refuses_the_rest() -> None:
    columns = {
        "size": pa.array([4], pa.int32()),
        "row_id": [1],
        "name": ["a.jpg"],
        "extension": ["jpg"],
        "offset": [512],
    }
    assert conform(pa.table(columns), members_schema()).schema == members_schema()
    with pytest.raises(ValueError, match=r"unknown: \['key'\]"):
        conform(pa.table({**columns, "key": ["a"]}), members_schema())
    del columns["size"]
    with pytest.raises(ValueError, match=r"missing: \['size'\]"):
        conform(pa.table(columns), members_schema())


def test_a_list_gets_a_new_version_only_for_new_content(tmp_path: Path) -> None:
    layout = RunLayout(str(tmp_path))
    parts = [layout.scores_part(name) for name in ("b", "a")]
    assert write_table_list(layout, "scores", parts) == 1
    assert write_table_list(layout, "scores", [*reversed(parts), parts[0]]) == 1
    assert write_table_list(layout, "scores", [*parts, layout.scores_part("c")]) == 2
    assert write_table_list(layout, "members", []) == 1
    assert sorted(p.name for p in (tmp_path / "tables").iterdir()) == [
        "members-1.json",
        "scores-1.json",
        "scores-2.json",
    ]
    assert json.loads((tmp_path / "tables" / "scores-1.json").read_text())["parts"] == [
        "scores/a.parquet",
        "scores/b.parquet",
    ]
    assert table_parts(layout, "scores") == [layout.scores_part(name) for name in "abc"]
    assert read_table_list(layout, "scores", 1).version == 1


def test_parts_of_the_same_names_made_from_other_input_are_a_new_version(tmp_path: Path) -> None:
    layout = RunLayout(str(tmp_path))
    parts = [layout.scores_part("a")]
    assert write_table_list(layout, "scores", parts, inputs="1") == 1
    assert write_table_list(layout, "scores", parts, inputs="1") == 1
    assert write_table_list(layout, "scores", parts, inputs="2") == 2
    assert read_table_list(layout, "scores").inputs == "2"


def test_versions_count_on_past_nine(tmp_path: Path) -> None:
    layout = RunLayout(str(tmp_path))
    for number in range(1, 12):
        assert write_table_list(layout, "pu", [layout.facts_part("pu", "x", str(number))]) == number
    assert table_parts(layout, "pu") == [layout.facts_part("pu", "x", "11")]


def test_parts_outside_the_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="outside the run"):
        write_table_list(RunLayout(str(tmp_path / "run")), "scores", [str(tmp_path / "a.parquet")])


def test_wide_vectors_come_in_small_row_groups(tmp_path: Path) -> None:
    def schema(dim: int) -> pa.Schema:
        return fact_schema("features", [vector_column("features", dim, "made up")])

    assert rows_per_group(scores_schema()) == ROWS_PER_GROUP == rows_per_group(schema(64))
    assert [rows_per_group(schema(dim)) for dim in (960, 3840, 100_000)] == [8192, 2048, 1024]
    rows = pa.array(np.arange(3000))
    values = encode_vectors(np.zeros((3000, 3840), np.float16))
    write_part(
        str(tmp_path / "a.parquet"), pa.Table.from_arrays([rows, values], schema=schema(3840))
    )
    groups = pq.ParquetFile(tmp_path / "a.parquet").metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [2048, 952]
