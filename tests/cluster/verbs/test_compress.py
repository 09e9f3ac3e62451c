"""The second method as a whole: a teacher of bars, forty labelled ones, a pool of bars and blots"""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cluster import compress, distill
from cluster.compress_report import CompressReport
from cluster.progress import Progress
from distiller.recipes import merge
from shards.errors import UsageError
from shards.writer import ShardWriter
from tests.distiller.small_sets import CLASSES, bars, png, write_shards

pytestmark = pytest.mark.xdist_group("compress")  # one worker makes the fixtures, once

NUM_BARS, NUM_BLOTS = 120, 180


def blot(index: int) -> np.ndarray:
    """uint8 (32, 32): a bright round spot, which is no bars of any class."""
    rng = np.random.default_rng(index)
    x, y = np.mgrid[0:32, 0:32] - rng.uniform(8, 24, (2, 1, 1))
    spot = 220 * np.exp(-(x**2 + y**2) / rng.uniform(20, 90))
    return (20 + spot + rng.normal(0, 6, (32, 32))).clip(0, 255).astype(np.uint8)


def write_pool(folder: Path) -> None:
    """Bars and blots in turn; a .json says which, and which class."""
    order = np.random.default_rng(0).permutation(NUM_BARS + NUM_BLOTS)
    with ShardWriter(str(folder), max_count=150) as writer:
        for position, number in enumerate(order.tolist()):
            is_bar = number < NUM_BARS
            pixels = bars(2000 + number) if is_bar else blot(number)
            truth = {"lean": str(number % CLASSES) if is_bar else "none"}
            members = {"png": png(pixels), "json": json.dumps(truth).encode()}
            writer.write(f"{position:05d}", members)


def write_few(folder: Path, *, per_class: int = 10, classes: int = CLASSES) -> None:
    for number in range(per_class * CLASSES):
        if number % CLASSES < classes:
            home = folder / str(number % CLASSES)
            home.mkdir(parents=True, exist_ok=True)
            Image.open(io.BytesIO(png(bars(4000 + number)))).save(home / f"{number}.png")


def config_in(home: Path, **changes: Any) -> dict[str, Any]:
    base = {
        "teacher": {
            "name": "lenet/5",
            "weights": str(home / "teacher" / "student.safetensors"),
            "num_classes": CLASSES,
        },
        "student": {"name": "lenet/5-half"},
        "labelled": str(home / "few"),
        "pool": [str(home / "pool")],
        "eval": [str(home / "test")],
        "truth": {"field": "lean", "mapping": {str(k): k for k in range(CLASSES)}},
        "pu": {"prior": 0.4, "settings": {"steps": 150, "batch_pool": 128, "batch_positives": 32}},
        "baselines": ["random", "ground_truth", "labelled_only"],
        "distill": {
            "steps": 40,
            "batch_size": 32,
            "optimizer": {"lr": 0.02},
            "objective": {"n_min": 1, "temperature": 2.0},
            "threads": 1,
        },
        "execution": {"executor": "inline", "threads": 1, "device": "cpu"},
        "out": str(home / "work"),
    }
    return merge(base, changes)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compress")
    write_shards(folder / "labelled", 200, labelled=True)
    write_shards(folder / "test", 80, labelled=True, first=1000)
    write_pool(folder / "pool")
    write_few(folder / "few")
    distill(
        {
            "student": {"name": "lenet/5", "num_classes": CLASSES},
            "data": {"train": [str(folder / "labelled")]},
            "objective": {"kind": "supervised"},
            "optimizer": {"lr": 0.02},
            "steps": 60,
            "batch_size": 32,
            "threads": 1,
            "device": "cpu",
            "out": str(folder / "teacher"),
        }
    )
    return folder


class Stop(Exception):
    """Raised from the progress callback, in place of a Ctrl-C."""


@pytest.fixture(scope="module")
def made(home: Path) -> CompressReport:
    """Stopped while the first student trains, and called again."""

    def stop(progress: Progress) -> None:
        if "train pu" in progress.note:
            raise Stop

    with pytest.raises(Stop):
        compress(config_in(home), on_progress=stop)
    selected = home / "work" / "selected" / "pu" / "export.json"
    stamp = selected.stat().st_mtime_ns
    result = compress(config_in(home))
    assert selected.stat().st_mtime_ns == stamp
    return result


def test_the_domain_is_found_and_the_student_learns_it(made: CompressReport) -> None:
    assert made.exit_code == 0
    assert made.precision["pu"] > 0.9
    assert made.precision["random"] == pytest.approx(0.4, abs=0.12)
    assert made.precision["ground_truth"] == 1
    assert made.num_selected["random"] == made.num_selected["pu"]
    assert made.num_selected["ground_truth"] == NUM_BARS
    assert made.accuracy.keys() == {"pu", "random", "ground_truth", "labelled_only"}
    assert made.accuracy["pu"]["top1"] > 0.7
    assert made.class_weights is not None
    assert Path(made.student).exists()
    assert json.loads(Path(made.out, "result.json").read_text())["accuracy"] == made.accuracy


def test_the_report_shows_what_was_asked_for(made: CompressReport) -> None:
    page = Path(made.report).read_text()
    for panel in ("pu", "attention", "truth", "accuracy", "class-weights"):
        assert f'<section id="{panel}">' in page
    for arm in made.accuracy:
        assert arm in page


def test_called_again_nothing_is_done_again(home: Path, made: CompressReport) -> None:
    files = [path for path in Path(made.out).rglob("*") if path.suffix in (".tar", ".safetensors")]
    stamps = {path: path.stat().st_mtime_ns for path in files}
    notes: list[str] = []
    again = compress(config_in(home), on_progress=lambda p: notes.append(p.note))
    assert {path: path.stat().st_mtime_ns for path in files} == stamps
    assert again.accuracy == made.accuracy
    assert again.num_selected == made.num_selected
    assert any(note.startswith("1 of ") for note in notes)


def test_another_configuration_is_refused_with_the_difference(
    home: Path, made: CompressReport
) -> None:
    with pytest.raises(UsageError, match=r"pu\.prior: 0\.4 -> 0\.5"):
        compress(config_in(home, pu={"prior": 0.5}))


def test_a_class_without_labelled_images_is_told(home: Path) -> None:
    """And one that the teacher does not see in them: reported, not dropped."""
    few = home / "three-classes"
    write_few(few, classes=CLASSES - 1)
    shutil.copy(few / "0" / "0.png", few / "1" / "wrong.png")
    config = config_in(
        home, labelled=str(few), out=str(home / "three"), baselines=[], distill={"steps": 2}
    )
    result = compress(config)
    assert result.pu["positives"]["total"] == 31
    assert [str(name) for name in result.pu["positives"]["classes_without"]] == ["3"]
    assert any("3" in text and "class" in text for text in result.warnings)
    told = [image["key"] for image in result.pu["positives"]["misclassified"]]
    assert any("wrong" in key for key in told)


def test_wrong_training_options_are_told_before_anything_is_scored(home: Path) -> None:
    config = config_in(home, out=str(home / "typo"), distill={"optimizer": {"lrr": 1}})
    with pytest.raises(UsageError, match=r"optimizer\.lrr"):
        compress(config)
    assert not (home / "typo").exists()
