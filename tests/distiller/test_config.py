from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from distiller.config import DistillConfig, load_config
from distiller.objective_options import KdOptions, NoisyOptions
from shards.errors import UsageError
from tests.distiller.small_runs import small_config, supervised

MINIMAL: dict[str, Any] = {
    "teacher": {"name": "lenet/5", "weights": "teacher.safetensors"},
    "student": {"name": "lenet/5-half"},
    "data": {"train": ["selected/"]},
    "objective": {"kind": "kd"},
    "steps": 10,
    "out": "student/",
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """MINIMAL with one field set, given by its dotted path."""
    config = json.loads(json.dumps(MINIMAL))
    *parents, last = path.split(".")
    place = config
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return config


def test_a_file_of_a_few_lines_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "distill.yaml"
    path.write_text(yaml.safe_dump(MINIMAL))
    config = load_config(path)
    assert isinstance(config.objective, KdOptions)
    assert config.batch_size == 128


def test_a_dumped_configuration_reads_as_the_same() -> None:
    config = load_config(MINIMAL)
    assert load_config(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("optimizer.lrr", 0.1, r"config: optimizer\.lrr: unknown key; did you mean 'lr'\?"),
        ("zzz", 1, r"config: zzz: unknown key$"),
        ("optimizer.lr", -1, r"config: optimizer\.lr: .*greater than 0 \(found -1\)"),
        ("steps", "many", r"config: steps: .*integer.* \(found 'many'\)"),
        ("objective.temprature", 2, r"objective\.temprature: unknown key; .*'temperature'"),
        ("objective.kind", "kld", r"objective: .*'kd'"),
        ("data.train", [], r"data\.train: "),
        ("data.label", "txt", r"data\.label: "),
        ("teacher.colour", 1, r"teacher\.colour: unknown key"),
        ("device", "tpu", r"device: "),
    ],
)
def test_a_wrong_field_is_named_by_its_path(path: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_config(changed(path, value))


def test_the_path_inside_an_objective_is_that_of_the_file() -> None:
    config = changed("objective", {"kind": "noisy", "transition": {"mod": "learned"}})
    with pytest.raises(UsageError, match=r"config: objective\.transition\.mod: .*'mode'"):
        load_config(config)


def test_all_wrong_fields_are_told_at_once() -> None:
    config = changed("optimizer.lr", 0)
    config["batch_size"] = 0
    del config["steps"]
    with pytest.raises(UsageError) as error:
        load_config(config)
    paths = [line.split(": ")[1] for line in str(error.value).splitlines()]
    assert sorted(paths) == ["batch_size", "optimizer.lr", "steps"]


@pytest.mark.parametrize("kind", ["kd", "pseudo_label", "noisy"])
def test_an_objective_that_needs_a_teacher_says_so(kind: str) -> None:
    with pytest.raises(UsageError, match=f"objective '{kind}' needs a teacher"):
        load_config({**MINIMAL, "teacher": None, "objective": {"kind": kind}})


def test_supervised_does_without_a_teacher_but_then_needs_the_classes() -> None:
    plain = {**MINIMAL, "teacher": None, "objective": {"kind": "supervised"}}
    with pytest.raises(UsageError, match=r"student\.num_classes has to be given"):
        load_config(plain)
    config = load_config({**plain, "student": {"name": "lenet/5", "num_classes": 10}})
    assert config.teacher is None
    with pytest.raises(UsageError, match="needs a teacher"):
        load_config(
            {
                **plain,
                "student": {"name": "lenet/5", "num_classes": 10},
                "objective": {"kind": "supervised", "kd_weight": 0.5},
            }
        )


def test_a_students_preprocessing_beside_a_teacher_is_refused() -> None:
    with pytest.raises(UsageError, match=r"set teacher\.preprocessing instead"):
        load_config(changed("student.preprocessing", {"crop": 28}))


def test_transition_options_that_contradict_each_other_are_refused() -> None:
    for wrong in (
        {"init": "accuracies"},
        {"accuracies": 0.9},
        {"mode": "none", "pool": ["pool/"]},
        {"init": "identity", "pool": ["pool/"]},
    ):
        with pytest.raises(UsageError, match=r"objective\.transition"):
            load_config(changed("objective", {"kind": "noisy", "transition": wrong}))


def test_all_ablation_switches_can_be_written() -> None:
    for mode in ("none", "frozen", "off_diagonal", "learned"):
        for init in ({}, {"init": "identity"}, {"init": "pool_full"}, {"init": "pool_diagonal"}):
            config = load_config(
                changed("objective", {"kind": "noisy", "transition": {"mode": mode, **init}})
            )
            assert isinstance(config.objective, NoisyOptions)
    per_class = {"init": "accuracies", "accuracies": [0.9, 0.8]}
    config = load_config(changed("objective", {"kind": "noisy", "transition": per_class}))
    assert isinstance(config.objective, NoisyOptions)
    assert config.objective.transition.accuracies == (0.9, 0.8)


def test_numbers_like_1e_3_are_numbers(tmp_path: Path) -> None:
    """YAML 1.1 reads 1e-3 as text; here it is what it looks like."""
    path = tmp_path / "distill.yaml"
    path.write_text(yaml.safe_dump(MINIMAL) + "optimizer: {lr: 1e-3}\n")
    assert load_config(path).optimizer.lr == 1e-3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("steps: [", "not valid YAML"),
        ("- a\n- b\n", "holds list, expected a mapping"),
        ("!!python/object/apply:os.getcwd []", "not valid YAML"),
        ("teacher: {name: lenet/5, allow_code: true}", "allow_code cannot be set in a file"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_by_name(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "distill.yaml"
    path.write_text(content)
    with pytest.raises(UsageError, match=rf"distill\.yaml: .*{message}"):
        load_config(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.yaml: cannot be read \(No such file"):
        load_config(tmp_path / "nowhere.yaml")


def models_below(model: type[BaseModel]) -> set[type[BaseModel]]:
    """A model and all models that its fields may hold."""

    def parts(annotation: Any) -> list[Any]:
        return [annotation] + [p for a in typing.get_args(annotation) for p in parts(a)]

    found = {model}
    for field in model.model_fields.values():
        for part in parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= models_below(part)
    return found


def test_every_field_of_the_distillers_models_is_described() -> None:
    models = [m for m in models_below(DistillConfig) if m.__module__.startswith("distiller")]
    assert len(models) >= 10
    missing = [
        f"{model.__name__}.{name}"
        for model in models
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert missing == []
    assert all(model.__doc__ for model in models)


def test_mixing_and_labels_do_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a mix of two images has no label"):
        supervised(tmp_path, augment={"mix": {"mixup": 0.5}})
    assert small_config(tmp_path, augment={"mix": {"mixup": 0.5}}).augment.mix is not None
