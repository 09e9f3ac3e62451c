from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from distiller.hint_options import HintOptions


@pytest.mark.parametrize(
    "wrong",
    [
        {"student_taps": ["a"]},
        {"teacher_taps": ["a"]},
        {"student_taps": ["a"], "teacher_taps": ["a", "b"]},
    ],
)
def test_taps_are_pairs(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="give both lists, equally long, or none"):
        HintOptions.model_validate(wrong)


@pytest.mark.parametrize("wrong", [{"weight": 0}, {"kind": "fitnet"}, {"taps": ["a"]}])
def test_other_fields_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HintOptions.model_validate(wrong)


def test_regression_of_the_stages_is_the_default() -> None:
    assert HintOptions() == HintOptions(kind="regression", weight=1.0)
