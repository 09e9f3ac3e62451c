"""Compacting a real run, and what the other verbs make of it: score, export, explain, report."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster.cli.main import app
from cluster.execution import ExecutionConfig
from cluster.run_lock import RunLock, RunLocked
from cluster.verbs.compact import CompactReport, compact
from cluster.verbs.explain import explain
from cluster.verbs.export import export
from cluster.verbs.query import query
from cluster.verbs.score import score
from selector.scoring.spec import ScoreSpec
from selector.selection import select
from selector.tables.layout import RunLayout
from selector.tables.read import table_parts
from selector.teachers.spec import TeacherSpec
from shards.errors import UsageError
from tests.support.pools import write_shard, write_teacher
from tests.support.runs import write_run

INLINE = ExecutionConfig(executor="inline")
RECIPE = {"steps": [{"take": {"n": 20, "order": "noise_value"}}]}


def _score(folder: Path) -> None:
    weights = folder / "teacher.safetensors"
    score(
        [str(folder / "pool")],
        spec=ScoreSpec(teacher=TeacherSpec(name="he/resnet8", weights=str(weights))),
        out=str(folder / "run"),
        execution=INLINE,
    )


def _make_scored(folder: Path) -> Path:
    """A run over four shards of 10 images."""
    (folder / "pool").mkdir()
    for seed in range(4):
        write_shard(folder / "pool" / f"{seed}.tar", images=10, seed=seed)
    write_teacher(folder / "teacher.safetensors")
    _score(folder)
    return folder


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _make_scored(tmp_path_factory.mktemp("compact"))


@pytest.fixture
def folder(scored: Path, tmp_path: Path) -> Path:
    """A run to work on; its pool stays where it is, and is not to be changed."""
    shutil.copytree(scored / "run", tmp_path / "run")
    return tmp_path


def _compact(folder: Path) -> CompactReport:
    return compact(str(folder / "run"), rows=25)


def _tars(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("*.tar")}


def test_what_is_selected_and_exported_stays_the_same(folder: Path) -> None:
    run = str(folder / "run")
    select(run, RECIPE, "before")
    key = query(run, "SELECT key FROM scores LIMIT 1")["key"][0].as_py()
    told = explain(run, key, selection="before")
    export(run, selection="before", out=str(folder / "out1"), execution=INLINE)
    report = _compact(folder)
    assert (report.files_before, report.files_after, report.written) == (8, 4, 2)
    assert [Path(part).parent.parent.name for part in table_parts(RunLayout(run), "members")] == [
        "compact",
        "run",
    ]
    assert explain(run, key, selection="before") == told
    select(run, RECIPE, "after")
    export(run, selection="after", out=str(folder / "out2"), execution=INLINE)
    assert _tars(folder / "out2") == _tars(folder / "out1") != {}


def test_scoring_goes_on_beside_the_compacted_files(tmp_path: Path) -> None:
    folder = _make_scored(tmp_path)
    run = RunLayout(str(folder / "run"))
    _compact(folder)
    compacted = table_parts(run, "scores")[0]
    _score(folder)
    assert len(table_parts(run, "scores")) == 2
    write_shard(folder / "pool" / "9.tar", images=10, seed=9)
    _score(folder)
    assert table_parts(run, "scores")[0] == compacted
    assert len(table_parts(run, "scores")) == 3
    count = "SELECT count(*) AS n, count(DISTINCT row_id) AS d FROM scores"
    assert query(run.root, count).to_pylist() == [{"n": 50, "d": 50}]


def test_a_mended_shard_is_seen_at_once(tmp_path: Path) -> None:
    folder, run = tmp_path, RunLayout(str(tmp_path / "run"))
    (tmp_path / "pool").mkdir()
    for seed in range(4):
        write_shard(tmp_path / "pool" / f"{seed}.tar", images=10, seed=seed)
    write_teacher(tmp_path / "teacher.safetensors")
    shard = tmp_path / "pool" / "1.tar"
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    _score(folder)
    rows = query(run.root, "SELECT count(*) AS n FROM scores")["n"][0].as_py()
    _compact(folder)
    shard.write_bytes(whole)
    _score(folder)
    assert query(run.root, "SELECT count(*) AS n FROM scores")["n"][0].as_py() == 40 > rows
    _compact(folder)
    assert query(run.root, "SELECT count(*) AS n FROM scores")["n"][0].as_py() == 40
    assert len(table_parts(run, "scores")) == 2


def test_a_compacted_run_can_be_exported_member_by_member(scored: Path, folder: Path) -> None:
    run = str(folder / "run")
    _compact(folder)
    select(run, {"steps": []}, "all")
    export(run, selection="all", out=str(folder / "out"), execution=INLINE)
    with tarfile.open(next((folder / "out").glob("*.tar"))) as tar:
        exported = {member.name for member in tar if member.isfile()}
    originals = set()
    for path in (scored / "pool").glob("*.tar"):
        with tarfile.open(path) as tar:
            originals |= {member.name for member in tar if member.isfile()}
    assert len(exported) == len(query(run, "SELECT name FROM members"))
    assert {name.rpartition(".")[2] for name in exported} == {
        name.rpartition(".")[2] for name in originals
    }


def test_a_run_at_work_is_left_alone(folder: Path) -> None:
    run = RunLayout(str(folder / "run"))
    with RunLock(run.lock), pytest.raises(RunLocked):
        _compact(folder)


def test_from_the_command_line(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_shards=6, per_shard=10).root
    result = CliRunner().invoke(app, ["compact", run, "--rows", "30"])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("12 files before, 4 now (")
    again = CliRunner().invoke(app, ["compact", run, "--rows", "30", "--json"])
    answer = json.loads(again.stdout)
    assert (answer["exit_code"], answer["written"], answer["files_after"]) == (0, 0, 4)


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a run directory"):
        compact(str(tmp_path))
    with pytest.raises(UsageError, match="--rows is 0"):
        compact(str(tmp_path), rows=0)
    result = CliRunner().invoke(app, ["compact", str(tmp_path / "nowhere")])
    assert result.exit_code in (1, 2)
    assert "nowhere" in result.stderr
    assert not (tmp_path / "lock").exists()
