from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from selector.scoring.spec import ScoreSpec, semantic_dict, views_of
from selector.teachers.load import TeacherSpec, load_teacher
from shards.limits import DecodeLimits
from shards.sample import IMAGE_EXTENSIONS
from tests.support.models import tiny_teacher

TEACHER = TeacherSpec(name="he/resnet20", weights="w.npz")


def test_survives_json() -> None:
    spec = ScoreSpec(teacher=TEACHER, image_ext=(".PNG", "jpg"), limits=DecodeLimits(1000, 2000))
    assert ScoreSpec.model_validate_json(spec.model_dump_json()) == spec
    assert spec.image_extensions == ("png", "jpg")
    assert ScoreSpec(teacher=TEACHER).image_extensions == IMAGE_EXTENSIONS


@pytest.mark.parametrize(
    "fields",
    [{"image_ext": ()}, {"image_ext": ("",)}, {"batch": 3}, {"limits": {"max": 1}}, {"views": "3"}],
)
def test_refuses_senseless_fields(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ScoreSpec.model_validate({"teacher": TEACHER.model_dump(), **fields})


def test_preprocessing_is_laid_over_the_teachers_own() -> None:
    teacher = TEACHER.model_copy(update={"preprocessing": {"crop": 28, "mean": [0, 0, 0]}})
    spec = ScoreSpec(teacher=teacher, preprocessing={"crop": 30})
    assert spec.teacher_spec.preprocessing == {"crop": 30, "mean": [0, 0, 0]}
    assert ScoreSpec(teacher=teacher).teacher_spec is teacher


def test_the_semantic_half_tells_what_changes_values_and_nothing_else(tmp_path: Path) -> None:
    teacher_spec = tiny_teacher(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    moved = tiny_teacher(tmp_path / "elsewhere", suffix=".npz")

    def semantic(spec: ScoreSpec) -> dict[str, object]:
        return semantic_dict(spec, load_teacher(spec.teacher_spec))

    base = semantic(ScoreSpec(teacher=teacher_spec))
    assert semantic(ScoreSpec(teacher=moved)) == base
    assert semantic(ScoreSpec(teacher=teacher_spec, image_ext=IMAGE_EXTENSIONS)) == base
    for other in (
        ScoreSpec(teacher=tiny_teacher(tmp_path, seed=1)),
        ScoreSpec(teacher=teacher_spec, image_ext=("png",)),
        ScoreSpec(teacher=teacher_spec, limits=DecodeLimits(max_pixels=10)),
        ScoreSpec(teacher=teacher_spec, preprocessing={"interpolation": "box"}),
        ScoreSpec(teacher=teacher_spec, views="ten"),
    ):
        assert semantic(other) != base
    assert "views" not in base, "runs from before there were views go on"


def test_the_views_of_a_stored_run() -> None:
    assert (views_of({}), views_of({"views": "five"})) == ("one", "five")
    with pytest.raises(ValueError, match="'seven' are unknown"):
        views_of({"views": "seven"})


def test_a_spec_is_read_without_torch() -> None:
    code = "import sys, selector.scoring.spec; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
