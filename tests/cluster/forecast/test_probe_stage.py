"""A probe runs real ranges: bytes of an image are right, for plain, compressed and tiny shards."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from cluster.forecast.probe_stage import ProbeStage, ProbeTask, compression
from cluster.score_stage import ScoreStage
from selector.scoring.spec import ScoreSpec
from selector.teachers.load import load_teacher
from selector.teachers.spec import TeacherSpec
from shards import storage
from shards.manifest import ShardEntry
from tests.support.models import tiny_teacher
from tests.support.pools import write_shard


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> TeacherSpec:
    return tiny_teacher(tmp_path_factory.mktemp("teacher"), "lenet/5-half")


def entry(number: int, path: Path) -> ShardEntry:
    info = storage.stat(str(path))
    return ShardEntry(number, info.uri, info.num_bytes, info.etag)


def probe(spec: TeacherSpec, run: Path, *shards: Path, batch_size: int = 4) -> dict[str, float]:
    stage = ScoreStage(
        spec=ScoreSpec(teacher=spec),
        teacher_fingerprint=load_teacher(spec).fingerprint,
        semantic_hash="0" * 12,
        ledger_folder=str(run / "ledger"),
        batch_size=batch_size,
        threads=1,
        device="cpu",
    )
    worker = ProbeStage(stage).open()
    try:
        entries = tuple(entry(number, path) for number, path in enumerate(shards))
        return worker.run(ProbeTask("probe-0", entries, str(run), seconds=0.05)).counters
    finally:
        worker.close()


def test_ranges_of_a_large_shard(spec: TeacherSpec, tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.tar", images=200, seed=0)
    counters = probe(spec, tmp_path / "run", shard)
    assert counters["points"] >= 2
    assert all(counters[f"x{n}"] % 4 == 0 for n in range(int(counters["points"])))
    per_image = counters["measured_bytes"] / counters["measured_images"]
    assert per_image == pytest.approx(shard.stat().st_size / 200, rel=0.05)
    assert counters["written_bytes"] > 0
    assert counters["probe_s"] > 0
    assert counters["model_s"] > 0


def test_a_compressed_shard_counts_its_compressed_bytes(spec: TeacherSpec, tmp_path: Path) -> None:
    plain = write_shard(tmp_path / "a.tar", images=100, seed=0)
    packed = tmp_path / "a.tar.gz"
    with plain.open("rb") as source, gzip.open(packed, "wb") as target:
        shutil.copyfileobj(source, target)
    assert compression(str(plain)) == 1.0
    assert compression(str(packed)) == pytest.approx(
        packed.stat().st_size / plain.stat().st_size, rel=0.01
    )
    counters = probe(spec, tmp_path / "run", packed)
    per_image = counters["measured_bytes"] / counters["measured_images"]
    assert per_image == pytest.approx(packed.stat().st_size / 100, rel=0.1)


def test_tiny_shards_are_measured_whole(spec: TeacherSpec, tmp_path: Path) -> None:
    shards = [write_shard(tmp_path / f"{n}.tar", images=3, seed=n) for n in range(4)]
    counters = probe(spec, tmp_path / "run", *shards)
    assert counters["points"] >= 2
    assert counters["measured_bytes"] / counters["measured_images"] == pytest.approx(
        sum(shard.stat().st_size for shard in shards) / 12, rel=0.05
    )
    alone = probe(spec, tmp_path / "alone", shards[0])
    assert alone["points"] == 1


def test_a_broken_shard_is_passed_over(spec: TeacherSpec, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"no tar" * 1000)
    good = write_shard(tmp_path / "good.tar", images=40, seed=0)
    counters = probe(spec, tmp_path / "run", broken, good)
    assert counters["bad_shards"] == 1
    assert counters["points"] >= 2
    assert probe(spec, tmp_path / "none", broken)["points"] == 0
