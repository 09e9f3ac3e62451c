"""`coursepack select` and `explain` on a run with made-up scores."""

import json

import pytest
from typer.testing import CliRunner

from cluster.cli.main import app
from tests.support.runs import write_run


def _invoke(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run").root


def test_a_ready_recipe_with_another_n(run):
    result = _invoke("select", run, "--recipe", "dfnd", "--name", "top", "--n", 50)
    assert result.exit_code == 0, result.stderr
    assert "50 of 300 images" in result.stdout
    assert "rows out" in result.stdout
    again = _invoke("select", run, "--recipe", "dfnd", "--name", "top", "--n", 50)
    assert again.exit_code == 0
    assert "there already" in again.stdout


def test_a_recipe_file_and_json(run, tmp_path):
    recipe = tmp_path / "quota.yaml"
    recipe.write_text(
        "name: quota\nsteps:\n"
        "- quota: {by: pseudo_label, n: 20, order: noise_value, shortage: redistribute}\n"
    )
    result = _invoke("select", run, "--recipe", recipe, "--json")
    answer = json.loads(result.stdout)
    assert (answer["exit_code"], answer["name"]) == (0, "quota")
    assert answer["num_rows"] == 200
    for warning in answer["stats"]["warnings"]:
        assert f"warning: {warning}" in result.stderr
    count = _invoke("query", run, "SELECT count(*) AS n FROM selection_quota", "--json")
    assert json.loads(count.stdout)["rows"] == [{"n": 200}]


def test_a_taken_name_is_replaced_only_when_asked(run):
    first = ("select", run, "--recipe", "dfnd", "--name", "top")
    assert _invoke(*first, "--n", 50).exit_code == 0
    taken = _invoke(*first, "--n", 60)
    assert taken.exit_code == 2
    assert "--overwrite" in taken.stderr
    assert _invoke(*first, "--n", 60, "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("dfndd", "did you mean 'dfnd'"),
        ("missing.yaml", "missing.yaml"),
        ("steps:\n- take: {m: 1, order: noise_value}\n", "'m'"),
    ],
)
def test_wrong_recipes(run, tmp_path, recipe, message):
    if "\n" in recipe:
        (tmp_path / "wrong.yaml").write_text(recipe)
        recipe = tmp_path / "wrong.yaml"
    result = _invoke("select", run, "--recipe", recipe, "--name", "top")
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert result.stdout == ""


def test_too_few_images_are_an_error(run):
    result = _invoke("select", run, "--recipe", "dfnd", "--name", "top", "--n", 1_000)
    assert result.exit_code == 2
    assert "error: " in result.stderr


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (
            "source: {where: width > 100000}\nsteps: []\n",
            "the selection is empty: no row passes the source (width > 100000, status ok only)",
        ),
        (
            "steps: [{where: width > 100000}, {take: {n: 5, order: margin}}]\n",
            "the selection is empty: steps[0].where (where width > 100000) kept none of 285 rows; "
            "loosen it",
        ),
    ],
)
def test_a_selection_of_nothing_is_an_error_and_leaves_nothing(run, tmp_path, recipe, message):
    (tmp_path / "none.yaml").write_text(recipe)
    result = _invoke("select", run, "--recipe", tmp_path / "none.yaml", "--name", "none", "--json")
    assert result.exit_code == 2
    assert message in json.loads(result.stdout)["error"]["message"]
    assert not (tmp_path / "run" / "selections").exists()


def test_memory_must_be_an_amount(run):
    arguments = ("select", run, "--recipe", "dfnd", "--n", 5, "--name", "few", "--memory")
    wrong = _invoke(*arguments, "lots")
    assert wrong.exit_code == 2
    assert "memory 'lots': expected an amount such as 4GB or 500MB" in wrong.stderr
    assert _invoke(*arguments, "200MB").exit_code == 0


def test_explain_tells_every_step(run):
    _invoke("select", run, "--recipe", "dfnd", "--name", "top", "--n", 50)
    rows = "SELECT key, row_id IN (SELECT row_id FROM selection_top) AS taken FROM scores"
    answer = json.loads(_invoke("query", run, rows, "--json").stdout)["rows"]
    for taken in (True, False):
        key = next(row["key"] for row in answer if row["taken"] is taken)
        result = _invoke("explain", run, key, "--selection", "top", "--json")
        (match,) = json.loads(result.stdout)["matches"]
        assert (match["key"], match["selected"]) == (key, taken)
        text = _invoke("explain", run, key, "--selection", "top").stdout
        assert key in text
        assert match["why"] in text
        assert all(step["label"] in text for step in match["steps"])


def test_explain_of_what_is_not_there(run):
    _invoke("select", run, "--recipe", "dfnd", "--name", "top", "--n", 50)
    for key, name in (("nobody", "top"), ("s00000/img000000", "topp")):
        result = _invoke("explain", run, key, "--selection", name)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "error: " in result.stderr
