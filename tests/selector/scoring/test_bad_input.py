"""All that a pool may hold and should not, on real bytes: a row or an error, never a hang."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from selector.scoring.shard_scorer import PartResult, ScoreTask, ShardScorer
from selector.scoring.spec import ScoreSpec
from shards.errors import ShardError, StorageError
from shards.manifest import ShardEntry
from tests.support import images
from tests.support.hostile import GOOD, HOSTILE
from tests.support.models import tiny_teacher
from tests.support.tars import samples_tar, tar_bytes, write_tar

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShardScorer]:
    teacher = tiny_teacher(tmp_path_factory.mktemp("teacher"), "he/resnet8")
    with ShardScorer(ScoreSpec(teacher=teacher), batch_size=8, threads=2) as opened:
        yield opened


def score(scorer: ShardScorer, shard: str, run: Path) -> tuple[PartResult, list[dict[str, object]]]:
    result = scorer.score(ScoreTask(ShardEntry(0, shard, 1, "e"), run=str(run)))
    return result, pq.read_table(result.paths[0]).to_pylist()


def test_every_kind_of_image_becomes_a_row_in_its_place(
    scorer: ShardScorer, tmp_path: Path
) -> None:
    samples = {name: {extension: data} for name, (data, extension, _) in HOSTILE.items()}
    shard = write_tar(tmp_path / "s.tar", samples_tar(samples))
    result, rows = score(scorer, shard, tmp_path)
    assert {row["key"]: row["status"] for row in rows} == {
        name: status for name, (_, _, status) in HOSTILE.items()
    }
    assert [row["key"] for row in rows] == list(HOSTILE)
    for row in rows:
        assert (row["error"] is None) == (row["status"] == "ok")
        assert (row["noise_value"] is None) == (row["status"] != "ok")
    assert result.counters["damaged"] == 0
    assert result.counters["images"] == len(HOSTILE)


def test_neighbours_of_broken_images_get_the_scores_they_always_get(
    scorer: ShardScorer, tmp_path: Path
) -> None:
    good = {f"g{index}": images.jpeg(images.picture(seed=index)) for index in range(len(HOSTILE))}
    alone = {name: {"jpg": data} for name, data in good.items()}
    mixed: dict[str, dict[str, bytes]] = {}
    for (name, data), (broken, (bad, extension, _)) in zip(
        good.items(), HOSTILE.items(), strict=True
    ):
        mixed[name] = {"jpg": data}
        mixed[broken] = {extension: bad}
    columns = ("noise_value", "entropy", "pseudo_label", "phash")
    found = {}
    for kind, samples in (("alone", alone), ("mixed", mixed)):
        shard = write_tar(tmp_path / f"{kind}.tar", samples_tar(samples))
        _, rows = score(scorer, shard, tmp_path / kind)
        found[kind] = {
            row["key"]: pytest.approx([row[column] for column in columns], rel=1e-5)
            if kind == "alone"
            else [row[column] for column in columns]
            for row in rows
            if row["key"] in good
        }
    assert found["mixed"] == found["alone"]


@pytest.mark.parametrize("name", ["s.tar", "s.tar.gz"])
def test_a_truncated_shard_yields_its_readable_rows_and_one_that_tells(
    scorer: ShardScorer, tmp_path: Path, name: str
) -> None:
    samples = {f"k{n}": {"jpg": images.jpeg(images.picture(seed=n))} for n in range(20)}
    tar = samples_tar(samples)
    shard = Path(write_tar(tmp_path / name, tar))
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size * 6 // 10])
    result, rows = score(scorer, str(shard), tmp_path)
    status = [row["status"] for row in rows]
    assert status[-1] == "read_error"
    assert status[:-1] == ["ok"] * (len(rows) - 1)
    assert 1 <= len(rows) - 1 < 20
    assert "truncated" in str(rows[-1]["error"])
    assert result.counters["damaged"] == 1
    assert result.counters["problems"] >= 1


def test_unsafe_names_are_rows_that_nobody_selects(scorer: ShardScorer, tmp_path: Path) -> None:
    names = ["a.jpg", "../up.jpg", "/etc/abs.jpg", "x/../../y.jpg", "b.jpg"]
    shard = write_tar(tmp_path / "s.tar", tar_bytes([(name, GOOD) for name in names]))
    result, rows = score(scorer, shard, tmp_path)
    assert [row["status"] for row in rows] == ["ok", *["read_error"] * 3, "ok"]
    assert all("unsafe member name" in str(row["error"]) for row in rows[1:4])
    assert result.counters["problems"] == 3
    assert result.counters["damaged"] == 0


def test_repeated_and_scattered_keys_stay_separate_rows(
    scorer: ShardScorer, tmp_path: Path
) -> None:
    other = images.jpeg(images.picture(seed=9))
    members = [("a.jpg", GOOD), ("b.jpg", other), ("a.jpg", other), ("b.cls", b"3")]
    shard = write_tar(tmp_path / "s.tar", tar_bytes(members))
    result, rows = score(scorer, shard, tmp_path)
    assert [(row["key"], row["status"]) for row in rows] == [
        ("a", "ok"),
        ("b", "ok"),
        ("a", "ok"),
        ("b", "no_image"),
    ]
    assert len({row["row_id"] for row in rows}) == 4
    assert result.counters["problems"] >= 2


def test_a_tar_without_samples_is_a_part_without_rows(scorer: ShardScorer, tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "s.tar", tar_bytes([]))
    result, rows = score(scorer, shard, tmp_path)
    assert rows == []
    assert result.counters["problems"] == 1


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("empty.tar", b"", ShardError),
        ("text.tar", b"no tar at all\n" * 100, ShardError),
        ("text.tar.gz", b"not gzip either\n" * 100, ShardError),
        ("missing.tar", None, StorageError),
    ],
)
def test_what_is_no_shard_is_an_error_that_names_it_and_leaves_nothing(
    scorer: ShardScorer, tmp_path: Path, name: str, data: bytes | None, error: type[Exception]
) -> None:
    shard = tmp_path / "pool" / name
    shard.parent.mkdir()
    if data is not None:
        shard.write_bytes(data)
    with pytest.raises(error, match=name):
        score(scorer, str(shard), tmp_path / "run")
    assert [path for path in (tmp_path / "run").rglob("*") if path.is_file()] == []


def test_an_exif_rotated_image_scores_like_the_upright_one(
    scorer: ShardScorer, tmp_path: Path
) -> None:
    samples = {f"o{turn}": {"jpg": images.exif_jpeg(turn)} for turn in range(1, 9)}
    shard = write_tar(tmp_path / "s.tar", samples_tar(samples))
    _, rows = score(scorer, shard, tmp_path)
    upright = images.quadrants()
    assert {(row["height"], row["width"]) for row in rows} == {upright.shape[:2]}
    assert len({row["pseudo_label"] for row in rows}) == 1
