from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from distiller.config import DistillConfig
from distiller.config_errors import describe_errors

GOOD: dict[str, Any] = {
    "teacher": {"name": "lenet/5"},
    "student": {"name": "lenet/5-half"},
    "data": {"train": ["x"]},
    "steps": 1,
    "out": "o",
}


@pytest.mark.parametrize(
    ("objective", "line"),
    [
        (
            {"kind": "kd", "match": {"kind": "decoupled", "otherz": 1}},
            "it: objective.match.otherz: unknown key; did you mean 'others'?",
        ),
        (
            {"kind": "noisy", "transition": {"mod": 1}},
            "it: objective.transition.mod: unknown key; did you mean 'mode'?",
        ),
        (
            {"kind": "kd", "temperature": -1},
            "it: objective.temperature: Input should be greater than 0 (found -1)",
        ),
        (
            {"kind": "noisy", "transition": {"accuracies": 0.9}},
            "it: objective.transition: init 'pool_diagonal' with accuracies 0.9: give accuracies "
            "with init accuracies, and with no other (found {'accuracies': 0.9})",
        ),
    ],
)
def test_the_path_is_that_of_the_file(objective: dict[str, Any], line: str) -> None:
    with pytest.raises(ValidationError) as error:
        DistillConfig.model_validate({**GOOD, "objective": objective})
    assert list(describe_errors(error.value, DistillConfig, "it")) == [line]


def test_keys_of_every_section_are_known_and_missing_ones_told_without_a_value() -> None:
    wrong = {**GOOD, "objective": {"kind": "kd"}, "augment": {"mix": {"cutmixx": 1}}}
    del wrong["steps"]
    with pytest.raises(ValidationError) as error:
        DistillConfig.model_validate(wrong)
    assert sorted(describe_errors(error.value, DistillConfig, "it")) == [
        "it: augment.mix.cutmixx: unknown key; did you mean 'cutmix'?",
        "it: steps: Field required",
    ]
