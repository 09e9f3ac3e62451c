"""The tables of a run on a server that speaks S3: what is asked and selected is as on a disk."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from cluster.verbs.compact import compact
from selector.selection import select
from selector.tables.layout import RunLayout
from selector.tables.query import query
from selector.tables.read import table_parts
from shards import storage
from shards.errors import UsageError
from tests.support.runs import write_facts, write_run
from tests.support.servers import s3_bucket

pytestmark = pytest.mark.xdist_group("s3")

RECIPE = {
    "source": {"where": "width > 40"},
    "steps": [
        {"exclude": {"duplicates": "twins"}},
        {"quota": {"by": "pseudo_label", "n": 5, "order": "noise_value", "shortage": "accept"}},
    ],
}
SQL = (
    "SELECT status, count(*) AS n, count(duplicate_of) AS d FROM scores JOIN twins USING (row_id) "
    "GROUP BY 1 ORDER BY 1"
)


def test_a_run_on_s3_answers_as_one_on_a_disk(tmp_path: Path) -> None:
    local = write_run(tmp_path / "run", num_shards=2, per_shard=30)
    ids = local.scores["row_id"].to_pylist()
    copies = pa.array([0 if row_id % 7 == 0 else None for row_id in ids], pa.int64())
    write_facts(local, "twins", {"row_id": pa.array(ids), "duplicate_of": copies})
    with s3_bucket("tables-on-s3") as bucket:
        remote = f"{bucket}/run"
        for path in Path(local.root).rglob("*"):
            if path.is_file():
                storage.put(f"{remote}/{path.relative_to(local.root)}", path.read_bytes())
        for run in (local.root, remote):
            select(run, RECIPE, "few")
        chosen = [
            storage.read_bytes(f"{run}/selections/few/selection.parquet")
            for run in (local.root, remote)
        ]
        assert chosen[0] == chosen[1]
        assert query(remote, SQL).to_pylist() == query(local.root, SQL).to_pylist()
        part = table_parts(RunLayout(remote), "scores")[0]
        with pytest.raises(UsageError, match="only the tables of the run"):
            query(remote, f"SELECT * FROM read_parquet('{part}')")
        compact(remote, rows=70)
        assert len(table_parts(RunLayout(remote), "scores")) == 1
        assert query(remote, SQL).to_pylist() == query(local.root, SQL).to_pylist()
        assert not select(remote, RECIPE, "few").written
