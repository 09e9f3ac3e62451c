from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from distiller.config import DistillConfig, load_config
from distiller.data_options import DataOptions
from distiller.identity import FREE_FIELDS, check_same_run, run_identity
from distiller.targets import TargetOptions
from selector.teachers.spec import TeacherSpec
from shards.errors import UsageError

BASE: dict[str, Any] = {
    "teacher": {"name": "lenet/5", "weights": "a.safetensors"},
    "student": {"name": "lenet/5-half"},
    "data": {"train": ["selected/"]},
    "objective": {"kind": "kd"},
    "steps": 10,
    "out": "student/",
}


def identity(changes: dict[str, Any] | None = None, **fingerprints: str) -> dict[str, Any]:
    known = {"teacher": "t1", "data": "d1", "weights": "w1", **fingerprints}
    return run_identity(load_config({**BASE, **(changes or {})}), **known)  # type: ignore[arg-type]


def test_what_decides_nothing_may_change() -> None:
    changes = {
        "out": "elsewhere/",
        "device": "cpu",
        "threads": 3,
        "log_every": 7,
        "eval_every": 7,
        "checkpoint_every": 7,
        "teacher": {"name": "lenet/5", "weights": "moved.safetensors"},
        "data": {"train": ["moved/"], "eval": ["test/"], "memory_bytes": 0, "max_bad": 0.5},
    }
    check_same_run(identity(), identity(changes), where="out")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"steps": 20}, "steps: 10 there, 20 now"),
        ({"optimizer": {"lr": 0.05}}, r"optimizer\.lr: 0\.1 there, 0\.05 now"),
        ({"seed": 1}, "seed: 0 there, 1 now"),
        ({"student": {"name": "lenet/5"}}, r"student\.name: 'lenet/5-half' there, 'lenet/5' now"),
        ({"objective": {"kind": "pseudo_label"}}, r"objective\.kd_weight: None there, 0\.0 now"),
    ],
)
def test_what_decides_the_result_may_not(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError, match=line) as error:
        check_same_run(identity(), identity(changes), where="out")
    assert "Give another `out`" in str(error.value)


@pytest.mark.parametrize("name", ["teacher", "data", "weights"])
def test_other_inputs_are_another_run(name: str) -> None:
    with pytest.raises(UsageError, match="fingerprint: "):
        check_same_run(identity(), identity(**{name: "other"}), where="out")


def test_every_free_field_exists() -> None:
    """A field that is renamed must not silently become one that may change."""
    sections: dict[str, type[BaseModel]] = {
        "": DistillConfig,
        "data": DataOptions,
        "teacher": TeacherSpec,
        "targets": TargetOptions,
    }
    for path in FREE_FIELDS:
        section, _, name = path.rpartition(".")
        assert name in sections[section].model_fields, path
