"""Counts that are carried from list to list are those of the rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.execution import ExecutionConfig
from cluster.score_report import ScoreReport
from cluster.status_counts import count, stored
from cluster.verbs.score import score
from selector.scoring.spec import ScoreSpec
from selector.tables.layout import RunLayout
from selector.tables.read import read_table_list
from selector.teachers.spec import TeacherSpec
from tests.support.pools import write_pool, write_shard, write_teacher
from tests.support.tars import samples_tar

pytestmark = pytest.mark.xdist_group("statuses")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_teacher(tmp_path_factory.mktemp("w") / "t.safetensors", name="lenet/5")


def run(folder: Path, weights: Path) -> ScoreReport:
    report = score(
        [str(folder / "pool")],
        spec=ScoreSpec(teacher=TeacherSpec(name="lenet/5", weights=str(weights))),
        out=str(folder / "run"),
        execution=ExecutionConfig(executor="inline", threads=1, batch_size=8),
        max_bad="100%",
    )
    assert report.statuses == stored(layout(folder)) == count(layout(folder))
    return report


def layout(folder: Path) -> RunLayout:
    return RunLayout(str(folder / "run"))


def kept(folder: Path) -> bool:
    return read_table_list(layout(folder), "scores").statuses is not None


def test_counts_grow_with_the_pool_and_survive_calls_that_were_killed(
    tmp_path: Path, weights: Path
) -> None:
    write_pool(tmp_path / "pool", shards=2, images=5)
    (tmp_path / "pool" / "bad.tar").write_bytes(samples_tar({"a": {"jpg": b"no image"}}))
    assert run(tmp_path, weights).statuses == {"ok": 10, "undecodable": 1}
    assert kept(tmp_path)
    write_shard(tmp_path / "pool" / "shard-009.tar", images=3, seed=9)
    assert run(tmp_path, weights).statuses == {"ok": 13, "undecodable": 1}
    assert kept(tmp_path)
    # Killed behind its markers: a part is done that no list names.
    for table in ("scores-2.json", "members-2.json"):
        (tmp_path / "run" / "tables" / table).unlink()
    assert run(tmp_path, weights).statuses == {"ok": 13, "undecodable": 1}
    assert kept(tmp_path)


def test_where_parts_are_replaced_the_rows_are_counted(tmp_path: Path, weights: Path) -> None:
    write_pool(tmp_path / "pool", shards=2, images=20)
    shard = tmp_path / "pool" / "shard-001.tar"
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    assert run(tmp_path, weights).damaged == [str(shard)]
    assert not kept(tmp_path)
    shard.write_bytes(whole)
    assert run(tmp_path, weights).statuses == {"ok": 40}
