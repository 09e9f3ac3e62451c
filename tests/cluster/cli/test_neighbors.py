"""The commands of neighbours, duplicates and clusters: text for eyes, one object for machines."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster.cli.main import app
from tests.selector.neighbors.planted import planted
from tests.support.feature_tables import write_features
from tests.support.runs import write_run

pytest.importorskip("faiss", reason="needs the extra `cpu`")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    run = write_run(tmp_path_factory.mktemp("cli") / "run", num_shards=2, per_shard=60)
    write_features(run, planted(120, 8))
    return run.root


def invoke(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, done.output
    return done.stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["neighbors", "build"], "114 vectors of 8 dimensions, flat (chosen for 114 vectors"),
        (["similar", "--k", "3"], "similarity"),
        (["similar", "--k", "3", "--by", "phash"], "distance"),
        (["duplicates", "--grade", "exact"], "0 duplicates: duplicates_exact"),
        (["duplicates", "--grade", "semantic", "--epsilon", "0.03"], "of 114 compared"),
        (["clusters", "--k", "3"], "3 clusters of"),
    ],
)
def test_text_and_json(run: str, words: list[str], text: str) -> None:
    key = ["s00000/img000003"] if words[0] == "similar" else []
    at = 2 if words[0] == "neighbors" else 1
    words = [*words[:at], run, *key, *words[at:]]
    assert text in invoke(*words)
    assert json.loads(invoke(*words, "--json"))["exit_code"] == 0


def test_what_is_wrong_is_one_line(run: str, tmp_path: Path) -> None:
    answer = json.loads(invoke("clusters", run, "--k", "500", "--json", code=2))
    assert "500 clusters of 114 usable vectors" in answer["error"]["message"]
    shards = tmp_path / "none"
    answer = json.loads(invoke("leakage", run, "--against", str(shards), "--json", code=1))
    assert str(shards) in answer["error"]["message"]
