"""`coursepack report` on a run with made-up scores."""

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


def test_report_goes_where_it_is_asked_to(run, tmp_path):
    _invoke("select", run, "--recipe", "dfnd", "--name", "top", "--n", 50)
    out = tmp_path / "page.html"
    result = _invoke("report", run, "--selection", "top", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"report: {out}\n"
    assert "<html" in out.read_text()
    missing = _invoke("report", run, "--selection", "other")
    assert (missing.exit_code, missing.stdout) == (2, "")


def test_an_export_in_place_of_a_page(run, tmp_path):
    _invoke("select", run, "--recipe", "dfnd", "--name", "top", "--n", 50)
    report = ("report", run, "--selection", "top", "--export")
    refused = _invoke(*report, "embedding-atlas", tmp_path / "a.parquet")
    assert refused.exit_code == 2
    assert "has no map" in refused.stderr
    unknown = _invoke(*report, "excel", tmp_path / "a.xls")
    assert "expected one of embedding-atlas, fiftyone" in unknown.stderr
    # This run's shards do not exist: nothing to show, and that is told.
    made = _invoke(*report, "fiftyone", tmp_path / "out", "--json")
    answer = json.loads(made.stdout)
    assert (answer["num_images"], answer["num_unread"]) == (0, 285)
    assert "285 images cannot be read" in made.stderr
