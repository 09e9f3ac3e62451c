from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selector.tables.layout import part_name
from selector.tables.read import open_parts
from selector.tables.scan import Columns, first_row_id, scan
from selector.tables.schema import column, fact_schema, row_id, row_id_column, table_schema
from shards.errors import StorageError

BASE = table_schema(
    "base", [row_id_column(), column("x", pa.int32(), "x"), column("y", pa.int32(), "y")]
)
FACT = fact_schema("fact", [column("f", pa.int64(), "10 x row_id"), column("g", pa.string(), "g")])


def _ids(shards: int, per_shard: int) -> np.ndarray:
    return np.concatenate([row_id(shard, 0) + np.arange(per_shard) for shard in range(shards)])


def _write(folder: Path, name: str, table: pa.Table, group: int = 4) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.parquet"
    pq.write_table(table, path, row_group_size=group)
    return str(path)


def _base(folder: Path, ids: np.ndarray, cuts: list[int]) -> Columns:
    parts = []
    for piece in np.split(ids, cuts):
        if len(piece):
            name = part_name(int(piece[0] >> 32), int(piece[0] & 0xFFFFFFFF))
            rows = pa.table([piece, piece % 97, piece % 89], names=["row_id", "x", "y"])
            parts.append(_write(folder, name, rows.cast(BASE)))
    return Columns("base", open_parts("base", parts), ("x",))


def _fact(folder: Path, pieces: list[np.ndarray], *, named: bool = True) -> Columns:
    parts = []
    for number, piece in enumerate(pieces):
        first = int(piece.min()) if len(piece) else 0
        name = part_name(first >> 32, first & 0xFFFFFFFF) if named else f"fact{number}"
        rows = pa.table(
            [piece, piece * 10, [f"g{one}" for one in piece]], names=["row_id", "f", "g"]
        )
        parts.append(_write(folder, name, rows.cast(FACT), group=3))
    return Columns("fact", open_parts("fact", parts), ("f", "g"))


def _rows(pieces) -> pa.Table:
    return pa.concat_tables([piece.rows for piece in pieces])


def test_all_rows_in_order_of_the_parts_and_only_the_named_columns(tmp_path: Path) -> None:
    ids = _ids(3, 10)
    pieces = list(scan(_base(tmp_path, ids, [10, 20])))
    rows = _rows(pieces)
    assert rows.column_names == ["row_id", "x"]
    assert rows["row_id"].to_pylist() == ids.tolist()
    assert [piece.rows_read for piece in pieces] == [4, 4, 2] * 3
    assert [piece.share for piece in pieces] == pytest.approx([i / 9 for i in range(1, 10)])
    assert pieces[-1].share == 1


def test_rows_that_are_not_kept_are_counted_all_the_same(tmp_path: Path) -> None:
    base = _base(tmp_path, _ids(1, 10), [])
    pieces = list(scan(base, keep=lambda rows: pc.equal(pc.bit_wise_and(rows["row_id"], 1), 0)))
    assert _rows(pieces)["row_id"].to_pylist() == [0, 2, 4, 6, 8]
    assert sum(piece.rows_read for piece in pieces) == 10
    assert len(_rows(scan(base, keep=lambda rows: None))) == 10


def test_facts_of_the_same_parts_lie_beside_their_rows(tmp_path: Path) -> None:
    ids = _ids(2, 10)
    fact = _fact(tmp_path / "f", np.split(ids, 2))
    rows = _rows(scan(_base(tmp_path / "b", ids, [10]), {"clusters": fact}))
    assert rows.column_names == ["row_id", "x", "clusters.f", "clusters.g"]
    assert rows["clusters.f"].to_pylist() == (ids * 10).tolist()


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_facts_that_are_cut_otherwise_or_lack_rows_are_found_by_row_id(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("scan")
    ids = _ids(3, 7)
    cuts = sorted(data.draw(st.sets(st.integers(1, 20), max_size=4)))
    held = ids[np.array(data.draw(st.lists(st.booleans(), min_size=21, max_size=21)))]
    pieces = np.split(held, sorted(data.draw(st.sets(st.integers(0, 20), max_size=3))))
    named = data.draw(st.booleans())
    if data.draw(st.booleans()):  # no order within a part
        pieces = [np.random.default_rng(0).permutation(piece) for piece in pieces]
    pieces = [piece for piece in pieces if len(piece)] or [held[:0]]
    fact = _fact(folder / "f", pieces, named=named)
    rows = _rows(scan(_base(folder / "b", ids, cuts), {"fact": fact}))
    there = set(held.tolist())
    assert rows["row_id"].to_pylist() == ids.tolist()
    assert rows["fact.f"].to_pylist() == [one * 10 if one in there else None for one in ids]
    assert rows["fact.g"].to_pylist() == [f"g{one}" if one in there else None for one in ids]


def test_names_tell_the_first_row() -> None:
    assert first_row_id("00000002-00000005.parquet") == row_id(2, 5)
    assert first_row_id("00000002-00000005.v2.parquet") == row_id(2, 5)
    assert first_row_id("00000002-00000005~12-0a1b2c3d.parquet") == row_id(2, 5)
    assert first_row_id("all.parquet") is None


@pytest.mark.parametrize("damaged", ["base", "fact"])
def test_a_part_that_cannot_be_read_is_named(tmp_path: Path, damaged: str) -> None:
    ids = _ids(2, 10)
    base = _base(tmp_path / "base", ids, [10])
    fact = _fact(tmp_path / "fact", np.split(ids, 2))
    path = Path((base if damaged == "base" else fact).source.files[1])
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(StorageError, match=rf"{path} cannot be read as Parquet"):
        list(scan(base, {"fact": fact}))


def test_a_scan_that_is_left_early_ends_its_threads(tmp_path: Path) -> None:
    import threading

    pieces = scan(_base(tmp_path, _ids(3, 10), [10, 20]))
    next(pieces)
    pieces.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("scan")]


def test_an_empty_part_has_no_rows(tmp_path: Path) -> None:
    empty = _write(tmp_path, part_name(0, 0), BASE.empty_table())
    source = open_parts("base", [empty])
    assert isinstance(source, ds.FileSystemDataset)
    fact = _fact(tmp_path / "f", [_ids(1, 3)])
    assert sum(len(p.rows) for p in scan(Columns("base", source, ("x",)), {"fact": fact})) == 0
