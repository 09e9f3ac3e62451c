"""A run whose pool or own files are not what they were: refused or told, nothing done is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import coursepack, score
from tests.support.pools import table_hashes, write_pool, write_shard, write_teacher

SHARDS, IMAGES = 3, 6


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return write_pool(tmp_path / "pool", shards=SHARDS, images=IMAGES)


@pytest.fixture
def run(tmp_path: Path, pool: Path, weights: Path) -> Path:
    """Scored, with a selection of every image."""
    assert score(pool, weights, tmp_path / "run").exit_code == 0
    assert coursepack("select", tmp_path / "run", "--recipe", "everything").exit_code == 0
    return tmp_path / "run"


def export(run: Path, out: Path) -> tuple[int, str]:
    answer = coursepack("export", run, "--selection", "everything", "--out", out)
    return answer.exit_code, answer.errors


def test_a_scored_shard_that_is_gone(run: Path, pool: Path, weights: Path, tmp_path: Path) -> None:
    gone, before = pool / "shard-001.tar", table_hashes(run)
    kept = gone.read_bytes()
    gone.unlink()
    again = score(pool, weights, run)
    assert again.exit_code == 0, "its facts stand"
    assert any(str(gone) in warning for warning in again.json["warnings"])
    assert table_hashes(run) == before

    code, errors = export(run, tmp_path / "out")
    assert code == 1
    assert f"{IMAGES} selected images lie in a shard that cannot be read: {gone}" in errors
    assert "shard <> 'shard-001.tar'" in errors, "says how to do without it"
    report = coursepack("report", run, "--selection", "everything", "--json")
    assert report.exit_code == 0
    assert str(gone) in report.json["warnings"][0]
    assert str(gone) in Path(report.json["report"]).read_text()
    explained = coursepack("explain", run, "s01-0002", "--selection", "everything")
    assert explained.exit_code == 0

    recipe = tmp_path / "without.yaml"
    where = "\"shard <> 'shard-001.tar'\""
    recipe.write_text(f"name: everything\nsource: {{where: {where}}}\nsteps: []\n")
    assert coursepack("select", run, "--recipe", recipe, "--overwrite").exit_code == 0
    assert export(run, tmp_path / "without")[0] == 0
    gone.write_bytes(kept)
    assert coursepack("select", run, "--recipe", "everything", "--overwrite").exit_code == 0
    assert export(run, tmp_path / "out")[0] == 0, "goes on where it failed"


def test_a_shard_that_changed(run: Path, pool: Path, weights: Path, tmp_path: Path) -> None:
    before = table_hashes(run)
    changed = write_shard(pool / "shard-002.tar", images=IMAGES, seed=50)
    answer = score(pool, weights, run)
    assert answer.exit_code == 1
    message = answer.json["error"]["message"]
    assert str(changed) in message
    assert "give the new ones another name" in message
    assert table_hashes(run) == before
    code, errors = export(run, tmp_path / "out")
    assert code == 1
    assert str(changed) in errors
    assert "is not what was scored" in errors
    assert not list((tmp_path / "out").glob("*.tar"))
    report = coursepack("report", run, "--selection", "everything", "--json")
    assert report.exit_code == 0
    assert "the shard has changed" in report.json["warnings"][0]

    changed.rename(pool / "shard-003.tar")  # the cure
    cured = score(pool, weights, run)
    assert (cured.exit_code, cured.json["rows"]) == (0, (SHARDS + 1) * IMAGES)


def test_a_pool_that_moved_is_recognised(
    run: Path, pool: Path, weights: Path, tmp_path: Path
) -> None:
    report = ("report", run, "--selection", "everything", "--json")
    pool.rename(tmp_path / "elsewhere")
    lost = coursepack(*report)
    assert lost.exit_code == 0
    assert lost.json["warnings"]
    assert score(pool, weights, run).exit_code == 1, "the old place is gone"
    moved = score(tmp_path / "elsewhere", weights, run)
    assert moved.exit_code == 0
    assert (moved.json["rows"], moved.json["parts_done"]) == (SHARDS * IMAGES, 0)
    assert any("elsewhere" in warning for warning in moved.json["warnings"])
    assert coursepack(*report).json["warnings"] == []
    assert export(run, tmp_path / "out")[0] == 0


def test_a_shard_that_was_never_scored_and_is_not_asked_for_any_more(
    pool: Path, weights: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    bad = pool / "shard-001.tar"
    bad.write_bytes(b"no tar")
    assert score(pool, weights, run).exit_code == 3
    bad.unlink()
    answer = score(pool, weights, run)
    assert answer.exit_code == 0, "what is asked for is done"
    assert any(str(bad) in warning for warning in answer.json["warnings"])
    write_shard(bad, images=IMAGES, seed=1)
    assert score(pool, weights, run).json["rows"] == SHARDS * IMAGES


def test_one_shard_alone_can_be_asked_for(pool: Path, weights: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert score(pool / "shard-001.tar", weights, run).json["rows"] == IMAGES
    both = score(pool / "shard-002.tar", weights, run)
    assert (both.exit_code, both.json["parts_done"]) == (0, 1)
    assert coursepack("select", run, "--recipe", "everything").exit_code == 0
    assert export(run, tmp_path / "out")[0] == 0, "the first one is no less there"


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("config.yaml", "score into a new --out"),
        ("pool.parquet", "score into a new --out"),
        ("provenance.json", "remove it"),
        ("tables/scores-1.json", "remove it and run the same score command"),
        ("scores/00000001-00000000.parquet", "its marker in the ledger"),
    ],
)
def test_a_damaged_file_of_the_run_is_named_with_its_cure(
    run: Path, pool: Path, weights: Path, name: str, cure: str
) -> None:
    path, before = run / name, table_hashes(run)
    kept = path.read_bytes()
    path.write_bytes(b"\0torn: [")
    answer = score(pool, weights, run)
    assert answer.exit_code == 1
    assert str(path) in answer.json["error"]["message"]
    assert cure in answer.json["error"]["message"]
    if "remove" in cure or "marker" in cure:
        path.unlink()
        for marker in (run / "ledger").glob(f"{path.stem}-*") if path.suffix == ".parquet" else ():
            marker.unlink()
    else:
        path.write_bytes(kept)
    again = score(pool, weights, run)
    assert again.exit_code == 0, again.output
    assert table_hashes(run) == before


def test_a_table_that_rotted_inside_is_named_by_all_that_read_it(
    run: Path, pool: Path, weights: Path, tmp_path: Path
) -> None:
    part = run / "scores" / "00000001-00000000.parquet"
    data = bytearray(part.read_bytes())
    data[20:2500:3] = bytes(byte ^ 0x5A for byte in data[20:2500:3])  # the footer stays whole
    part.write_bytes(data)
    chosen = ("--selection", "everything")
    for command in (
        ("query", run, "SELECT max(noise_value), max(key) FROM scores"),
        ("select", run, "--recipe", "dfnd", "--n", 3),
        ("explain", run, "s00-0001", *chosen),
        ("report", run, *chosen),
        ("export", run, *chosen, "--out", tmp_path / "out"),
    ):
        answer = coursepack(*command)
        assert answer.exit_code == 1, command
        assert str(part) in answer.errors
        assert "marker in the ledger" in answer.errors
    # A score that finds nothing to do reads no row, so it tells nothing; the cure is as told.
    part.unlink()
    for marker in (run / "ledger").glob("00000001-*"):
        marker.unlink()
    assert score(pool, weights, run).exit_code == 0


@pytest.mark.parametrize("name", ["stats.json", "selection.parquet"])
def test_a_damaged_selection_is_named_with_its_cure(run: Path, tmp_path: Path, name: str) -> None:
    folder = run / "selections" / "everything"
    (folder / name).write_bytes(b"torn")
    for command in (
        ("report", run, "--selection", "everything"),
        ("export", run, "--selection", "everything", "--out", tmp_path / "out"),
    ):
        answer = coursepack(*command)
        assert answer.exit_code == 1
        assert f"remove the folder {folder} and select again" in answer.errors
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert coursepack("select", run, "--recipe", "everything").exit_code == 0


def test_a_pool_file_that_was_removed_is_not_made_up(run: Path, pool: Path, weights: Path) -> None:
    (run / "pool.parquet").unlink()
    answer = score(pool, weights, run)
    assert answer.exit_code == 1
    assert "restore pool.parquet" in answer.json["error"]["message"]


def test_another_teacher_or_another_meaning_of_image_is_refused(
    run: Path, pool: Path, tmp_path: Path, weights: Path
) -> None:
    other = write_teacher(tmp_path / "five.safetensors", num_classes=5)
    refused = score(pool, other, run)
    assert refused.exit_code == 2
    assert "num_classes: 10 -> 5" in refused.json["error"]["message"]
    assert "another --out" in refused.json["error"]["message"]
    assert score(pool, weights, run, "--image-ext", "png").exit_code == 2
    limits = score(pool, weights, run, "--set", "limits.max_pixels=100")
    assert limits.exit_code == 2
    assert "max_pixels" in limits.json["error"]["message"]


def test_a_device_that_is_not_there_is_refused_also_when_continuing(
    run: Path, pool: Path, weights: Path
) -> None:
    before = (run / "config.yaml").read_bytes()
    answer = score(pool, weights, run, "--device", "tpu")
    assert answer.exit_code == 2
    assert "expected cpu or cuda" in answer.json["error"]["message"]
    assert (run / "config.yaml").read_bytes() == before


def test_a_finished_export_that_lost_a_shard_is_completed(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ("export", run, "--selection", "everything", "--out", out, "--shard-size", 5)
    assert coursepack(*command).exit_code == 0
    shards = {path.name: path.read_bytes() for path in out.glob("*.tar")}
    (out / "selected-000001.tar").unlink()
    answer = coursepack(*command)
    assert answer.exit_code == 0, answer.errors
    assert {path.name: path.read_bytes() for path in out.glob("*.tar")} == shards
