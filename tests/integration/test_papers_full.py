"""The `full` track and a user's own one at the size of a toy, by the code of the long runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks.cifar_data import CifarImages, write_cifar
from benchmarks.papers.full import FullOptions, full_track
from benchmarks.papers.own import own_track
from benchmarks.papers.run import left_out, run_table
from benchmarks.papers.tables import TABLES
from shards.errors import UsageError

pytestmark = pytest.mark.xdist_group("papers_full")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled shards in `train` and `test`, and a `pool`: flat colours of ten hues, with noise."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    hues = rng.integers(40, 216, (10, 3))
    for name, count in (("train", 60), ("test", 20), ("pool", 80)):
        labels = np.arange(count) % 10
        noise = rng.integers(-40, 40, (count, 32, 32, 3))
        images = np.clip(hues[labels][:, None, None] + noise, 0, 255).astype(np.uint8)
        write_cifar(folder / name, CifarImages(images, labels, np.arange(count)), prefix=name)
    return folder


def reduced(data: Path, **fields: object) -> FullOptions:
    found = {"pool": str(data / "pool"), "data": str(data), "num_selected": 20, **fields}
    return FullOptions(reduced=True, **found)  # type: ignore[arg-type]


def test_the_full_track_trains_its_teacher_once_and_goes_on(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    track, results = full_track(reduced(data)), tmp_path / "results.jsonl"
    assert track.title.startswith("REDUCED to a test of the program")

    def rows(*arms: str) -> list[dict[str, object]]:
        return list(
            run_table(TABLES["dfnd"], track, work=tmp_path, seeds=1, results=results, only=arms)
        )

    first = rows("dfnd", "best")
    weights = tmp_path / "teacher-short" / "student.safetensors"
    trained = weights.stat().st_mtime_ns
    assert first[0]["images"] == 20
    assert [row["samples_seen"] for row in first] == [64, 64]
    assert rows("dfnd", "real_kd")[1] == first[0]
    assert weights.stat().st_mtime_ns == trained
    assert len(results.read_text().splitlines()) == 3
    assert capsys.readouterr().err.count("of the test images") == 2
    config = json.loads((next((tmp_path / "students").glob("best-*")) / "card.json").read_text())
    assert config["config"]["schedule"]["kind"] == "cosine"


def test_settings_are_chosen_on_images_that_nobody_trains_on(data: Path, tmp_path: Path) -> None:
    from benchmarks.papers.full import _real_images, _samples

    train, held = _real_images(reduced(data), tmp_path, "validation")
    keys = [{key for key, _ in _samples(folder)} for folder in (train, held)]
    assert [len(one) for one in keys] == [54, 6]
    assert not keys[0] & keys[1]


def test_what_the_full_track_needs_is_said(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("COURSEPACK_DATA", "COURSEPACK_POOL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="no pool, nor --pool or COURSEPACK_POOL"):
        full_track(FullOptions())
    lacking = full_track(FullOptions(pool="p", reduced=True, dataset="cifar100"))
    with pytest.raises(UsageError, match="cifar100 needs --data"):
        lacking.prepare(tmp_path, "test")
    hundred = full_track(reduced(data, dataset="cifar100", true_share=0.3))
    assert (hundred.num_classes, hundred.true_share) == (100, 0.3)


def test_ones_own_teacher_pool_and_test_shards(data: Path, tmp_path: Path) -> None:
    """The recipes of the tables, over networks and shards that a file names."""
    track = tmp_path / "mine.yaml"
    said = {
        "title": "ResNet-8 taught by a ResNet-8 of random weights; pool: ten colours",
        "teacher": {"name": "he/resnet8", "weights": str(tmp_path / "teacher.safetensors")},
        "student": "he/resnet8",
        "pool": str(data / "pool"),
        "test": str(data / "test"),
        "num_classes": 10,
        "num_selected": 20,
        "training": {"steps": 2, "batch_size": 8},
    }
    track.write_text(yaml.safe_dump(said))
    from safetensors.torch import save_file

    from selector.teachers.zoo import build_model

    save_file(build_model("he/resnet8", num_classes=10).state_dict(), said["teacher"]["weights"])  # type: ignore[index]
    mine, results = own_track(track), tmp_path / "results.jsonl"
    rows = list(
        run_table(TABLES["dfnd"], mine, work=tmp_path, seeds=1, results=results, only=("dfnd",))
    )
    assert [(row["arm"], row["images"], row["setting"]) for row in rows] == [
        ("dfnd", 20, said["title"])
    ]
    places = mine.prepare(tmp_path, "test")
    kinds = {arm.name for arm in TABLES["pu"].arms if left_out(arm, places) is not None}
    assert kinds == {arm.name for arm in TABLES["pu"].arms}  # nobody labelled an image
    with pytest.raises(UsageError, match=r"real_kd.*real"):
        list(run_table(TABLES["dfnd"], mine, work=tmp_path, seeds=1, results=results,
                       only=("real_kd",)))  # fmt: skip
    with pytest.raises(UsageError, match="no validation shards"):
        mine.prepare(tmp_path, "validation")


def test_a_wrong_track_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    with pytest.raises(UsageError, match=r"No such file.*YAML file"):
        own_track(path)
    path.write_text("title: x\nstudnet: y\n")
    with pytest.raises(UsageError, match=r"(?s)studnet.*Extra inputs"):
        own_track(path)
