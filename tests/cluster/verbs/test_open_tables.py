from pathlib import Path

import duckdb
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from cluster import open_query, open_tables
from shards.errors import UsageError
from tests.support.runs import SyntheticRun, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    return write_run(tmp_path_factory.mktemp("open") / "run", num_shards=2, per_shard=50)


def test_datasets_outlive_the_connection(run: SyntheticRun) -> None:
    with open_tables(run.root) as tables:
        assert tables.names == ["classes", "members", "scores", "shards"]
        scores, classes = tables.dataset("scores"), tables.dataset("classes")
    assert isinstance(scores, ds.Dataset)
    ok = scores.to_table(columns=["row_id"], filter=pc.field("status") == "ok")
    assert ok.num_rows == 96
    assert classes.count_rows() == 10


def test_relations_are_lazy_and_can_be_refined(run: SyntheticRun) -> None:
    with open_tables(run.root) as tables:
        relation = tables.sql("SELECT * FROM scores JOIN classes USING (pseudo_label)")
        assert isinstance(relation, duckdb.DuckDBPyRelation)
        found = relation.filter("name = 'cat'").aggregate("count(*) AS n, min(pseudo_label) AS c")
        (row,) = found.to_arrow_table().to_pylist()
    labels = run.scores["pseudo_label"].to_pylist()
    assert row == {"n": labels.count(3), "c": 3}


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("DROP VIEW scores", "expected a SELECT"),
        ("SELECT nope FROM scores", "scores has row_id"),
        ("SELECT * FROM read_text('/etc/passwd')", "only the tables of the run"),
    ],
)
def test_read_only_and_within_the_run(run: SyntheticRun, sql: str, message: str) -> None:
    with open_tables(run.root) as tables, pytest.raises(UsageError, match=message):
        tables.sql(sql)


def test_what_is_not_there_is_told(run: SyntheticRun, tmp_path: Path) -> None:
    with open_tables(run.root) as tables, pytest.raises(UsageError, match="no view 'pu'; it has"):
        tables.dataset("pu")
    with pytest.raises(UsageError, match="expected a run directory"), open_tables(str(tmp_path)):
        pass


def test_an_answer_batch_by_batch(run: SyntheticRun) -> None:
    with open_query(run.root, "SELECT row_id FROM scores", memory="200MB") as answer:
        assert answer.schema.names == ["row_id"]
        assert sum(len(batch) for batch in answer.batches) == 100
