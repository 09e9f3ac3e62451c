import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pytest

from selector.neighbors.exact import TWINS, find_exact
from selector.neighbors.ranking import rank_rows
from selector.tables.connection import RunTables
from shards.errors import UsageError
from tests.support.score_rows import score_rows


def tables(rows: pa.Table) -> RunTables:
    return RunTables({"scores": pa.dataset.dataset(rows)}, {"scores": 1})


def expected(rows: pa.Table, sign: int = 1) -> list[int]:
    def place(row: dict) -> tuple:
        value = row["noise_value"]
        missing = value is None or np.isnan(value)
        return (
            missing,
            0 if missing else sign * value,
            row["content_hash"],
            row["key"],
            row["row_id"],
        )

    ok = [row for row in rows.to_pylist() if row["status"] == "ok"]
    return [row["row_id"] for row in sorted(ok, key=place)]


def test_score_then_bytes_then_key_and_rows_without_a_score_last() -> None:
    rows = score_rows(500)
    assert rank_rows(tables(rows)).row_ids.tolist() == expected(rows)
    highest = rank_rows(tables(rows), descending=True)
    assert highest.row_ids.tolist() == expected(rows, -1)
    assert highest.order == "highest noise_value"


def test_only_twins_are_ranked_for_exact_duplicates() -> None:
    rows = score_rows(200)
    hashes = [bytes([number % 256]) * 16 for number in range(200)]
    hashes[3] = hashes[4] = hashes[5]
    at = rows.column_names.index("content_hash")
    rows = rows.set_column(at, rows.schema.field(at), pa.array(hashes, pa.binary(16)))
    ranking = rank_rows(tables(rows), where=TWINS)
    ok = [row for row in rows.slice(3, 3).to_pylist() if row["status"] == "ok"]
    assert set(ranking.row_ids.tolist()) == {row["row_id"] for row in ok}
    removed = find_exact(ranking)
    assert len(removed.row_ids) == len(ok) - 1
    assert set(removed.duplicate_of.tolist()) == {int(ranking.row_ids[0])}


def test_nothing_to_rank_and_a_wrong_column() -> None:
    rows = score_rows(50)
    assert len(rank_rows(tables(rows), where="width > 1000").row_ids) == 0
    with pytest.raises(UsageError, match="--keep-by: scores has no column 'nois'"):
        rank_rows(tables(rows), by="nois")
