"""`coursepack map`, and the report that shows it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster.cli.main import app
from selector.maps import embed
from tests.support.features import write_features
from tests.support.runs import write_run

pytest.importorskip("openTSNE")


def _invoke(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(embed, "_ITERATIONS", (10, 10))
    made = write_run(tmp_path / "run", num_shards=1)
    _invoke("select", made.root, "--recipe", "dfnd", "--name", "top", "--n", 50)
    return made


def test_a_map_is_made_once_and_told(run):
    without = _invoke("map", run.root)
    assert (without.exit_code, without.stdout) == (2, "")
    assert "has no features; `coursepack score POOL" in without.stderr
    write_features(run.layout)
    made = _invoke("map", run.root, "--selection", "top", "--points", 60, "--name", "small")
    assert made.exit_code == 0, made.stderr
    assert "60 of 95 scored images" in made.stdout
    again = _invoke("map", run.root, "--selection", "top", "--points", 60, "--json")
    answer = json.loads(again.stdout)
    assert (answer["num_drawn"], answer["written"], answer["method"]) == (60, False, "tsne")


def test_a_report_makes_shows_or_leaves_out_the_map(run):
    write_features(run.layout)
    arguments = ("report", run.root, "--selection", "top", "--json")

    def page(*more):
        return Path(json.loads(_invoke(*arguments, *more).stdout)["report"]).read_text()

    assert 'id="map"' not in page()
    assert _invoke(*arguments, "--map").exit_code == 0
    assert 'id="map"' in page()
    left_out = page("--no-map")
    assert 'id="map"' not in left_out
    assert "<script" not in left_out
