"""Shards in pieces: the parts of a run, and rows that do not depend on them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cluster.execution import ExecutionConfig
from cluster.score_report import ScoreReport
from cluster.surveys import Division, part_names, read_divisions, tasks_for
from cluster.verbs.score import score
from selector.scoring.spec import ScoreSpec
from selector.tables.layout import RunLayout
from selector.tables.read import read
from selector.teachers.spec import TeacherSpec
from shards.errors import CoursepackError, UsageError
from shards.manifest import PoolManifest, ShardEntry
from tests.support.pools import table_hashes, write_shard, write_teacher

IMAGES = 70
BATCH = 16

pytestmark = pytest.mark.xdist_group("surveys")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One large shard and a small one, and the run that scored them whole."""
    folder = tmp_path_factory.mktemp("surveys")
    (folder / "pool").mkdir()
    write_shard(folder / "pool" / "large.tar", images=IMAGES, seed=1)
    write_shard(folder / "pool" / "small.tar", images=5, seed=2)
    write_teacher(folder / "teacher.safetensors", name="lenet/5")
    run(folder, "whole", split_bytes=0)
    return folder


def run(workplace: Path, name: str, *, pool: str = "pool", **execution: int) -> ScoreReport:
    weights = str(workplace / "teacher.safetensors")
    return score(
        [str(workplace / pool)],
        spec=ScoreSpec(teacher=TeacherSpec(name="lenet/5", weights=weights)),
        out=str(workplace / name),
        execution=ExecutionConfig(executor="inline", threads=1, batch_size=BATCH, **execution),
    )


def parts(run: Path) -> list[str]:
    return sorted(path.name.removesuffix(".parquet") for path in (run / "scores").iterdir())


def rows(run: Path, table: str = "scores") -> list[dict[str, object]]:
    return read(RunLayout(str(run)), table).to_pylist()


def test_rows_do_not_depend_on_how_a_shard_is_divided(workplace: Path) -> None:
    size = (workplace / "pool" / "large.tar").stat().st_size
    report = run(workplace, "pieces", split_bytes=-(-size // 3))
    assert parts(workplace / "whole") == ["00000000-00000000", "00000001-00000000"]
    assert parts(workplace / "pieces") == [
        "00000000-00000000", "00000000-00000032", "00000000-00000064", "00000001-00000000",
    ]  # fmt: skip
    assert (report.rows, report.parts_done, report.exit_code) == (IMAGES + 5, 4, 0)
    for table in ("scores", "members"):
        assert rows(workplace / "pieces", table) == rows(workplace / "whole", table)


def test_missing_pieces_alone_are_done_again_also_if_asked_for_otherwise(workplace: Path) -> None:
    size = (workplace / "pool" / "large.tar").stat().st_size
    run(workplace, "again", split_bytes=-(-size // 3))
    before = table_hashes(workplace / "again")
    assert len(before) == 8
    for marker in (workplace / "again" / "ledger").glob("00000000-00000032-*"):
        marker.unlink()
    report = run(workplace, "again", split_bytes=0)  # a division once made is kept
    assert (report.parts_done, report.parts_kept) == (1, 3)
    assert table_hashes(workplace / "again") == before
    for marker in (workplace / "again" / "ledger").glob("00000000-00000064-*"):
        marker.unlink()
    with pytest.raises(UsageError, match="use the batch size of the first call"):
        score(
            [str(workplace / "pool")],
            spec=ScoreSpec(
                teacher=TeacherSpec(name="lenet/5", weights=str(workplace / "teacher.safetensors"))
            ),
            out=str(workplace / "again"),
            execution=ExecutionConfig(executor="inline", threads=1, batch_size=24),
        )


def test_a_divided_shard_that_breaks_off_is_done_anew_when_it_is_mended(workplace: Path) -> None:
    shutil.copytree(workplace / "pool", workplace / "cut")
    large = workplace / "cut" / "large.tar"
    content = large.read_bytes()
    large.write_bytes(content[: len(content) // 2])
    broken = run(workplace, "mending", pool="cut", split_bytes=len(content) // 6)
    assert broken.damaged == [str(large)]
    assert broken.exit_code == 3
    large.write_bytes(content)
    report = run(workplace, "mending", pool="cut")
    assert (report.damaged, report.exit_code, report.rows) == ([], 0, IMAGES + 5)
    expected = [row | {"status": "ok"} for row in rows(workplace / "whole")]
    assert rows(workplace / "mending") == expected


def test_a_divided_shard_that_changed_is_refused(workplace: Path) -> None:
    shutil.copytree(workplace / "pool", workplace / "other")
    size = (workplace / "other" / "large.tar").stat().st_size
    run(workplace, "changed", pool="other", split_bytes=size // 2)
    write_shard(workplace / "other" / "large.tar", images=IMAGES, seed=3)
    with pytest.raises(CoursepackError, match="changed after they were scored"):
        run(workplace, "changed", pool="other")


def test_only_what_fits_the_shard_as_it_is_counts(tmp_path: Path) -> None:
    layout = RunLayout(str(tmp_path))
    entry = ShardEntry(0, "/pool/a.tar", 1000, "etag")
    assert read_divisions(layout, PoolManifest((entry,))) == {}
    (survey,) = tasks_for([entry], {}, [], run="/run", split_bytes=400, batch_size=8)
    assert survey.name == "00000000-survey"
    folder = tmp_path / "surveys"
    folder.mkdir()
    for name in ("notes.json", "00000000-00000016-00000002-000000000000.json"):
        (folder / name).write_text("{}")
    (folder / "00000007-00000016-00000002-1234567890ab.json").write_text("{}")
    assert read_divisions(layout, PoolManifest((entry,))) == {}
    assert part_names(entry, {0: Division(16, 2, "")}) == [
        "00000000-00000000", "00000000-00000016",
    ]  # fmt: skip
    assert json.loads((folder / "notes.json").read_text()) == {}
