"""A wrong configuration is told whole, in one message, by line and path."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cluster.config import load_config, parse_assignments
from cluster.config_errors import field_paths
from shards.errors import UsageError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Teacher(_Strict):
    name: str
    allow_code: bool = False


class _Kd(_Strict):
    kind: Literal["kd"]
    temperature: float = Field(default=2.0, gt=0)


class _Hard(_Strict):
    kind: Literal["hard"]
    smoothing: float


class _Optimizer(_Strict):
    lr: float = 0.1
    betas: tuple[float, float] = (0.9, 0.999)


class _Training(_Strict):
    teacher: _Teacher | None = None
    objective: Annotated[_Kd | _Hard, Field(discriminator="kind")] = _Kd(kind="kd")
    optimizer: _Optimizer = _Optimizer()
    resize: int | tuple[int, int] | None = None
    data: list[str] = []
    sizes: dict[str, int] = {}
    steps: int = Field(ge=1)

    @model_validator(mode="after")
    def _small(self) -> "_Training":
        if self.steps > 1000:
            raise ValueError("steps and data do not fit")
        return self


def _message(source, tmp_path, **overrides):
    path = tmp_path / "t.yaml"
    path.write_text(source)
    with pytest.raises(UsageError) as caught:
        load_config(_Training, str(path), overrides=overrides.pop("overrides", None))
    assert caught.value.exit_code == 2
    return str(caught.value).replace(str(path), "t.yaml")


def test_a_sound_file_becomes_the_model(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("steps: 10\noptimizer: {lr: 1e-3}\nobjective: {kind: hard, smoothing: 0}\n")
    config = load_config(_Training, str(path))
    assert config.steps == 10
    assert config.optimizer.lr == 0.001
    assert config.objective == _Hard(kind="hard", smoothing=0)


def test_every_problem_is_in_one_message(tmp_path):
    text = "steps: 0\nteacher:\n  nmae: he/resnet20\noptimizer:\n  lr: fast\n"
    assert _message(text, tmp_path).splitlines() == [
        "t.yaml: 4 problems",
        "  line 3: teacher.name: missing, but required",
        "  line 3: teacher.nmae: unknown key; did you mean 'name'?",
        "  line 5: optimizer.lr: found 'fast', expected a valid number, unable to parse string as a"
        " number",
        "  line 1: steps: found 0, expected greater than or equal to 1",
    ]


def test_a_missing_field_of_the_top_level_has_no_line(tmp_path):
    assert _message("data: []\n", tmp_path) == "t.yaml: steps: missing, but required"


def test_an_unknown_key_far_from_all_lists_the_known_ones(tmp_path):
    message = _message("steps: 1\nteacher: {name: a, zzzz: 1}\n", tmp_path)
    assert message == (
        "t.yaml: line 2: teacher.zzzz: unknown key; expected one of: name, allow_code"
    )


def test_a_key_in_the_wrong_section_names_the_right_one(tmp_path):
    message = _message("steps: 1\nlr: 0.1\n", tmp_path)
    assert message == "t.yaml: line 2: lr: unknown key here; did you mean 'optimizer.lr'?"


def test_members_of_a_union_are_one_line(tmp_path):
    message = _message("steps: 1\nresize: wide\n", tmp_path)
    assert message.startswith("t.yaml: line 2: resize: found 'wide', expected a valid integer")
    assert message.endswith(" or a list")


def test_the_kind_of_an_objective_is_no_step_of_the_path(tmp_path):
    message = _message("steps: 1\nobjective:\n  kind: kd\n  temperature: -1\n", tmp_path)
    assert message == ("t.yaml: line 4: objective.temperature: found -1, expected greater than 0")
    assert "objective.smoothing: missing" in _message(
        "steps: 1\nobjective: {kind: hard}\n", tmp_path
    )
    assert "objective.kind: found 'kl', expected one of 'kd', 'hard'" in (
        _message("steps: 1\nobjective: {kind: kl}\n", tmp_path)
    )
    assert "objective.kind: missing" in (
        _message("steps: 1\nobjective: {temperature: 1}\n", tmp_path)
    )


def test_an_item_of_a_list_is_named_by_position(tmp_path):
    message = _message("steps: 1\ndata:\n- a\n- {b: 1}\n", tmp_path)
    assert message == "t.yaml: line 4: data.1: found {'b': 1}, expected a valid string"


def test_a_rule_about_the_whole_is_told_without_path(tmp_path):
    assert _message("steps: 2000\n", tmp_path) == "t.yaml: steps and data do not fit"


def test_overrides_win_and_are_named_as_such(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("steps: 1\ndata: [a, b]\n")
    config = load_config(
        _Training,
        str(path),
        overrides=parse_assignments(["steps=7", "optimizer.lr=1e-2", "data.1=c", "resize=[3, 4]"]),
    )
    assert (config.steps, config.optimizer.lr, config.data) == (7, 0.01, ["a", "c"])
    assert config.resize == (3, 4)
    message = _message("steps: 1\n", tmp_path, overrides={"optimizer.lr": "fast"})
    assert message.startswith("t.yaml: command line: optimizer.lr: found 'fast'")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"steps.x": 1}, "steps.x: steps is 1, which has no fields; set steps itself"),
        ({"data.2": "c"}, "data.2: data is a list of 2; expected a position 0 to 1"),
        ({"data.first": "c"}, "data is a list of 2; expected a position"),
    ],
)
def test_overrides_that_lead_nowhere(tmp_path, overrides, message):
    assert message in _message("steps: 1\ndata: [a, b]\n", tmp_path, overrides=overrides)


@pytest.mark.parametrize("assignment", ["steps", "=1", "a..b=1", ".a=1"])
def test_assignments_without_path_or_value(assignment):
    with pytest.raises(UsageError, match="expected path=value"):
        parse_assignments([assignment])


def test_assignments_that_are_no_yaml():
    with pytest.raises(UsageError, match=r"--set name=\[a, line 1: "):
        parse_assignments(["name=[a"])


def test_an_assigned_value_may_hold_an_equals_sign_or_nothing():
    assert parse_assignments(["a=b=c", "d="]) == {"a": "b=c", "d": None}


def test_code_is_allowed_on_the_command_line_alone(tmp_path):
    text = "steps: 1\nteacher: {name: 'py:a:b', allow_code: true}\n"
    assert "--allow-code" in _message(text, tmp_path)
    path = tmp_path / "ok.yaml"
    path.write_text("steps: 1\nteacher: {name: 'py:a:b', allow_code: false}\n")
    config = load_config(_Training, str(path), overrides={"teacher.allow_code": True})
    assert config.teacher.allow_code


def test_a_mapping_is_read_like_a_file_and_stays_untouched():
    source = {"steps": 1, "optimizer": {"lr": 0.2}}
    config = load_config(_Training, source, overrides={"optimizer.lr": 0.3})
    assert config.optimizer.lr == 0.3
    assert source == {"steps": 1, "optimizer": {"lr": 0.2}}
    with pytest.raises(UsageError, match=r"^configuration: steps: missing"):
        load_config(_Training, {})


def test_paths_of_a_model_that_holds_itself_end():
    assert list(field_paths(_Node)) == ["value", "next"]


class _Node(BaseModel):
    value: int
    next: "_Node | None" = None
