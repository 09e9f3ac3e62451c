from __future__ import annotations

import pytest
from pydantic import ValidationError

from selector.teachers.spec import TeacherSpec


def test_is_a_value() -> None:
    spec = TeacherSpec(name="he/resnet20", weights="w.npz")
    assert spec == TeacherSpec.model_validate(spec.model_dump())
    with pytest.raises(ValidationError):
        spec.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    "fields", [{}, {"name": "x", "weight": "w.npz"}, {"name": "x", "num_classes": 1}]
)
def test_refuses_missing_unknown_and_senseless_fields(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TeacherSpec.model_validate(fields)


def test_code_is_off_unless_asked_for() -> None:
    assert TeacherSpec(name="he/resnet20").allow_code is False
