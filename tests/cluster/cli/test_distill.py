"""`coursepack distill`: a few real steps, overrides, and wrong configurations."""

import json

import pytest
from typer.testing import CliRunner

from cluster.cli.main import app
from distiller.recipes import RECIPES
from tests.support.pools import write_pool, write_teacher


def _invoke(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distill")
    pool = write_pool(folder / "pool", shards=1, images=8)
    weights = write_teacher(folder / "t.safetensors")
    path = folder / "distill.yaml"
    path.write_text(
        f"teacher: {{name: he/resnet8, weights: '{weights}'}}\n"
        "student: {name: he/resnet8}\n"
        f"data: {{train: ['{pool}']}}\n"
        "objective: {kind: kd}\n"
        "steps: 2\nbatch_size: 4\ndevice: cpu\nthreads: 1\n"
        "out: never-used\n"
    )
    return path


def test_a_student_is_trained_and_not_trained_twice(config, tmp_path):
    out = tmp_path / "student"
    first = _invoke("distill", config, "--out", out, "--set", "steps=3")
    assert first.exit_code == 0, first.stderr
    assert "3 steps" in first.stdout
    assert (out / "student.safetensors").exists()
    second = _invoke("distill", config, "--out", out, "--set", "steps=3", "--json")
    answer = json.loads(second.stdout)
    assert (answer["exit_code"], answer["steps"]) == (0, 3)
    assert answer["student_weights"] == str(out / "student.safetensors")
    assert answer["metrics"]


def test_another_configuration_in_the_same_folder_is_refused(config, tmp_path):
    out = tmp_path / "student"
    assert _invoke("distill", config, "--out", out).exit_code == 0
    result = _invoke("distill", config, "--out", out, "--set", "seed=1")
    assert result.exit_code == 2
    assert "seed" in result.stderr


def test_wrong_fields_are_told_with_their_lines(config, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(config.read_text().replace("steps: 2", "stepz: 2"))
    result = _invoke("distill", path, "--set", "objective.temperature=-1", "--json")
    assert result.exit_code == 2
    message = json.loads(result.stdout)["error"]["message"]
    assert "line 5: stepz: unknown key; did you mean 'steps'?" in message
    assert "steps: missing" in message
    assert "command line: objective.temperature: found -1" in message


def test_a_file_cannot_allow_code(config, tmp_path):
    path = tmp_path / "code.yaml"
    path.write_text("teacher: {name: 'py:a:b', allow_code: true}\n")
    result = _invoke("distill", path)
    assert result.exit_code == 2
    assert "--allow-code" in result.stderr


def test_a_file_that_is_not_there(tmp_path):
    result = _invoke("distill", tmp_path / "missing.yaml")
    assert result.exit_code == 2
    assert "missing.yaml" in result.stderr


def test_help_lists_every_recipe_that_ships():
    text = " ".join(_invoke("distill", "--help").stdout.replace("│", " ").split())
    assert all(name in text for name in RECIPES)


def test_a_recipe_of_the_command_line_fills_in_what_the_file_does_not_say(config, tmp_path):
    recipes = ("--recipe", "average", "--recipe", "hints")
    result = _invoke("distill", config, "--out", tmp_path / "student", *recipes, "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads((tmp_path / "student" / "card.json").read_text())
    assert told["config"]["average"] == {"decay": 0.999}
    assert [pair["student"] for pair in told["hints"]] == ["layer1", "layer2", "layer3"]
    unknown = _invoke("distill", config, "--recipe", "patience")
    assert unknown.exit_code == 2
    assert "'patience' is unknown; expected one of dfnd_seed" in unknown.stderr
