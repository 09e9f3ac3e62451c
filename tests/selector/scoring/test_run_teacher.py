from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from selector.scoring.run_teacher import teacher_of_run
from selector.scoring.spec import ScoreSpec, semantic_dict
from selector.tables.layout import RunLayout
from selector.teachers.load import load_teacher
from shards.errors import StorageError, UsageError
from tests.support.models import tiny_teacher


@pytest.fixture
def run(tmp_path: Path) -> RunLayout:
    """What a run says about its teacher, without its tables."""
    given = tiny_teacher(tmp_path, "he/resnet8").model_copy(
        update={"preprocessing": {"resize_mode": "short_side"}}
    )
    spec = ScoreSpec(teacher=given, image_ext=("png",), views="five")
    teacher = load_teacher(given)
    layout = RunLayout(str(tmp_path / "run"))
    Path(layout.root).mkdir()
    content = {
        "semantic": semantic_dict(spec, teacher),
        "execution": {"batch_size": 32, "device": "cpu"},
    }
    Path(layout.config).write_text(yaml.safe_dump(content))
    known = {"name": given.name, "weights": given.weights}
    Path(layout.provenance).write_text(json.dumps({"teacher": known}))
    return layout


def test_the_teacher_is_found_again(run: RunLayout) -> None:
    known = teacher_of_run(run)
    assert (known.batch_size, known.device, known.spec.image_ext) == (32, "cpu", ("png",))
    assert known.spec.views == "five"
    teacher = known.load()
    assert teacher.fingerprint == known.fingerprint
    assert teacher.preprocessing.resize_mode == "short_side"


def test_weights_may_have_moved_but_must_be_the_same(run: RunLayout, tmp_path: Path) -> None:
    weights = Path(str(teacher_of_run(run).spec.teacher.weights))
    moved = weights.rename(tmp_path / "moved.safetensors")
    with pytest.raises(StorageError):
        teacher_of_run(run).load()
    teacher_of_run(run, weights=str(moved)).load()
    other = tiny_teacher(tmp_path, "he/resnet8", seed=1).weights
    with pytest.raises(UsageError, match="the run was scored with"):
        teacher_of_run(run, weights=other).load()


def test_damage_is_told_by_name(run: RunLayout) -> None:
    Path(run.config).write_text("semantic: {}\nexecution: {}\n")
    with pytest.raises(StorageError, match=r"config\.yaml or .*does not say how"):
        teacher_of_run(run)
    Path(run.config).unlink()
    with pytest.raises(UsageError, match="is no run"):
        teacher_of_run(run)
