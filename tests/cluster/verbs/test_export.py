"""Export on real shards: the same bytes, plain and compressed, whatever the executor and order."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cluster.execution import ExecutionConfig
from cluster.run_lock import RunLock, RunLocked
from cluster.verbs.export import ExportReport, export
from cluster.verbs.score import score
from selector.scoring.spec import ScoreSpec
from selector.selection import select
from selector.teachers.spec import TeacherSpec
from shards.errors import CoursepackError, UsageError
from tests.support.pools import write_shard, write_teacher
from tests.support.tars import samples_tar

INLINE = ExecutionConfig(executor="inline")
IMAGES = 12


@dataclass(frozen=True)
class Workplace:
    pool: Path
    run: Path


def make_workplace(folder: Path, *, with_text_only: bool = False) -> Workplace:
    """Three shards: plain, compressed, and one with the keys of the first."""
    pool = folder / "pool"
    pool.mkdir()
    write_shard(pool / "a.tar", images=IMAGES, seed=0)
    plain = write_shard(folder / "b.tar", images=IMAGES, seed=1)
    (pool / "b.tar.gz").write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    write_shard(pool / "c.tar", images=IMAGES, seed=0)
    if with_text_only:
        (pool / "d.tar").write_bytes(samples_tar({"words": {"txt": b"no picture"}}))
    weights = write_teacher(folder / "teacher.safetensors")
    score(
        [str(pool)],
        spec=ScoreSpec(teacher=TeacherSpec(name="he/resnet8", weights=str(weights))),
        out=str(folder / "run"),
        execution=INLINE,
        max_bad="100%",
    )
    recipe = {"name": "most", "steps": [{"take": {"n": 30, "order": "noise_value"}}]}
    select(str(folder / "run"), recipe, name="most")
    return Workplace(pool, folder / "run")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return make_workplace(tmp_path_factory.mktemp("export"))


def run_export(workplace: Workplace, out: Path, **options: object) -> ExportReport:
    return export(
        str(workplace.run),
        selection="most",
        out=str(out),
        shard_size=8,
        **{"execution": INLINE, **options},  # type: ignore[arg-type]
    )


def read_members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def hashes(out: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("*.tar")}


def test_every_member_has_its_source_bytes_and_the_lineage_says_whose(
    workplace: Workplace, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = run_export(workplace, out)
    assert (report.images, report.shards) == (30, 4)
    exported = {name: read_members(out / name) for name in hashes(out)}
    lineage = pq.read_table(out / "lineage.parquet").to_pylist()
    selected = pq.read_table(workplace.run / "selections/most/selection.parquet")
    assert sorted(row["row_id"] for row in lineage) == selected["row_id"].to_pylist()
    sources: dict[str, dict[str, bytes]] = {}
    for row in lineage:
        source = sources.setdefault(row["source"], read_members(Path(row["source"])))
        for extension in ("jpg", "json"):
            ours = exported[row["shard"]][f"{row['key']}.{extension}"]
            assert ours == source[f"{row['source_key']}.{extension}"]
    keys = [row["key"] for row in lineage]
    assert len(set(keys)) == 30
    assert report.renamed == sum(row["key"] != row["source_key"] for row in lineage) > 0
    order = [row["row_id"] for row in lineage]
    assert order != sorted(order), "shuffled over the whole selection"
    assert not (out / ".export").exists()


def test_plain_tar_and_plain_webdataset_read_the_shards(
    workplace: Workplace, tmp_path: Path
) -> None:
    import webdataset

    out = tmp_path / "out"
    run_export(workplace, out)
    first = out / "selected-000000.tar"
    listed = subprocess.run(["tar", "tf", first], capture_output=True, text=True, check=True)
    assert len(listed.stdout.split()) == 16
    paths = sorted(map(str, out.glob("*.tar")))
    samples = list(webdataset.WebDataset(paths, shardshuffle=False, empty_check=False))
    assert len(samples) == 30
    assert all(sample["jpg"][:2] == b"\xff\xd8" for sample in samples)
    assert [sample["__key__"] for sample in samples] == pq.read_table(out / "lineage.parquet")[
        "key"
    ].to_pylist()


def test_bytes_depend_on_seed_alone_and_not_on_workers(
    workplace: Workplace, tmp_path: Path
) -> None:
    run_export(workplace, tmp_path / "inline")
    run_export(workplace, tmp_path / "local", execution=ExecutionConfig(actors=2))
    run_export(workplace, tmp_path / "seeded", seed=1)
    assert hashes(tmp_path / "inline") == hashes(tmp_path / "local")
    assert hashes(tmp_path / "inline") != hashes(tmp_path / "seeded")


def test_an_unfinished_export_continues_and_a_finished_one_is_left_alone(
    workplace: Workplace, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = run_export(workplace, out)
    whole = hashes(out)
    identity = json.loads((out / "export.json").read_text())["identity"]
    times = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert run_export(workplace, out) == report
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == times
    # What a kill between two shards leaves: some shards, and the note of what is being made.
    (out / "export.json").unlink()
    (out / "selected-000002.tar").unlink()
    (out / ".export").mkdir()
    (out / ".export" / "identity.json").write_text(json.dumps({"identity": identity}))
    run_export(workplace, out)
    assert hashes(out) == whole
    kept = out / "selected-000000.tar"
    assert kept.stat().st_mtime_ns == times[kept]


def test_another_export_in_the_same_folder_is_refused(workplace: Workplace, tmp_path: Path) -> None:
    run_export(workplace, tmp_path / "out")
    with pytest.raises(UsageError, match="another export"):
        run_export(workplace, tmp_path / "out", seed=5)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("keep me")
    with pytest.raises(UsageError, match=r"thesis\.txt"):
        run_export(workplace, tmp_path / "mine")


def test_the_same_row_ids_of_another_run_are_another_export(tmp_path: Path) -> None:
    """Two pools of one shape select the same row_ids; their images must not be taken as equal."""
    recipe = {"name": "draw", "steps": [{"sample": {"n": 5, "seed": 0}}]}
    weights = write_teacher(tmp_path / "teacher.safetensors")
    for number, name in enumerate(["one", "two"]):
        (tmp_path / name).mkdir()
        write_shard(tmp_path / name / "a.tar", images=IMAGES, seed=number)
        spec = ScoreSpec(teacher=TeacherSpec(name="he/resnet8", weights=str(weights)))
        run = str(tmp_path / f"run-{name}")
        score([str(tmp_path / name)], spec=spec, out=run, execution=INLINE)
        select(run, recipe)
    out = str(tmp_path / "out")
    export(str(tmp_path / "run-one"), selection="draw", out=out, execution=INLINE)
    with pytest.raises(UsageError, match="another export"):
        export(str(tmp_path / "run-two"), selection="draw", out=out, execution=INLINE)


def test_a_source_that_changed_since_it_was_scored_is_named(tmp_path: Path) -> None:
    workplace = make_workplace(tmp_path)
    write_shard(workplace.pool / "c.tar", images=IMAGES, seed=3)
    with pytest.raises(CoursepackError, match=r"c\.tar: sample \d+ .* is not what was scored"):
        run_export(workplace, tmp_path / "out")
    assert not (tmp_path / "out" / "export.json").exists()
    (workplace.pool / "c.tar").unlink()
    with pytest.raises(CoursepackError, match=r"c\.tar does not exist"):
        run_export(workplace, tmp_path / "out")


def test_no_such_selection_and_no_such_run(workplace: Workplace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run"):
        export(str(tmp_path), selection="most", out=str(tmp_path / "out"))
    with pytest.raises(UsageError, match="no selection 'least'"):
        export(str(workplace.run), selection="least", out=str(tmp_path / "out"))


def test_rows_without_an_image_are_refused(tmp_path: Path) -> None:
    workplace = make_workplace(tmp_path, with_text_only=True)
    recipe = {"name": "any", "source": {"status": "any"}, "steps": []}
    select(str(workplace.run), recipe, name="any")
    with pytest.raises(UsageError, match="no image to export"):
        export(str(workplace.run), selection="any", out=str(tmp_path / "out"), execution=INLINE)


def test_two_exports_into_one_folder_do_not_mix(workplace: Workplace, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with RunLock(str(out / ".export" / "lock")):
        with pytest.raises(RunLocked, match="locked by process"):
            run_export(workplace, out)
        assert not list(out.glob("*.tar"))
    assert run_export(workplace, out).images == 30
    assert not (out / ".export").exists()
