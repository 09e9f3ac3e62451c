"""Probes leave nothing behind, and what fails in them is told as the run's own trouble."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.forecast import probing
from cluster.forecast.probing import temporary_run
from cluster.score_stage import ScoreStage
from selector.scoring.spec import ScoreSpec
from selector.tables.layout import RunLayout
from selector.teachers.spec import TeacherSpec
from shards import storage
from tests.support.servers import s3_bucket


def write_something(folder: str) -> None:
    if storage.is_local(folder):
        Path(folder, "scores").mkdir(parents=True)
        Path(folder, "scores", "x.parquet").write_bytes(b"x")
    else:
        storage.put(storage.join(folder, "scores", "x.parquet"), b"x")


@pytest.mark.parametrize("fails", [False, True])
def test_the_folder_goes_whatever_happens(tmp_path: Path, fails: bool) -> None:
    new, begun = tmp_path / "new", tmp_path / "begun"
    begun.mkdir()
    (begun / "config.yaml").write_text("x")
    for root in (new, begun):
        try:
            with temporary_run(RunLayout(str(root))) as folder:
                assert Path(folder).parent == root, "the storage of the run is probed too"
                write_something(folder)
                if fails:
                    raise RuntimeError
        except RuntimeError:
            assert fails
    assert not new.exists()
    assert [path.name for path in begun.iterdir()] == ["config.yaml"]
    with temporary_run(None) as folder:
        write_something(folder)
    assert not Path(folder).exists()


def test_on_an_object_store_too() -> None:
    with s3_bucket() as bucket:
        home = f"{bucket}/probing"  # other tests may have left their objects in the bucket
        with temporary_run(RunLayout(f"{home}/run")) as folder:
            write_something(folder)
        left = [info.uri for info in storage.list_files(bucket, recursive=True)]
        assert not [uri for uri in left if uri.startswith(home)]


def test_a_batch_that_does_not_fit_a_gpu_is_wrong_use_and_names_the_cure() -> None:
    stage = ScoreStage(
        spec=ScoreSpec(teacher=TeacherSpec(name="he/resnet8")), teacher_fingerprint="",
        semantic_hash="", ledger_folder="", batch_size=512, threads=1, device="cuda",
    )  # fmt: skip
    told = probing._cannot("CUDA out of memory. Tried to allocate 20 GiB\nmore", stage)
    assert told.exit_code == 2
    assert "a batch of 512 images" in str(told)
    assert "--batch-size" in str(told)
    assert probing._cannot("no such file", stage).exit_code == 1
