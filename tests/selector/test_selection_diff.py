import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from cluster.cli.main import app
from selector.selection import select
from selector.selection_diff import SAMPLE, diff_selections
from selector.tables.selections import read_selection
from selector.tables.write import write_table_list
from shards.errors import UsageError
from tests.support.runs import SyntheticRun, write_facts, write_run

TOP = {"steps": [{"take": {"n": 200, "order": "noise_value"}}]}
WIDE = {
    "source": {"where": "width >= 200"},
    "steps": [
        {"exclude": {"duplicates": "twins"}},
        {"quota": {"by": "pseudo_label", "n": 10, "order": "noise_value", "shortage": "accept"}},
    ],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    run = write_run(tmp_path_factory.mktemp("diff") / "run", num_shards=3, per_shard=200)
    ids = run.scores["row_id"].to_numpy()
    copies = pa.array(np.zeros(len(ids), np.int64), mask=ids % 5 != 0)
    write_facts(run, "twins", {"row_id": pa.array(ids), "duplicate_of": copies})
    select(run.root, TOP, "top")
    select(run.root, WIDE, "wide-1")
    return run


def _ids(run: SyntheticRun, name: str) -> set[int]:
    return set(read_selection(run.layout, name)["row_id"].to_pylist())


def test_the_numbers_are_those_of_the_sets(run: SyntheticRun) -> None:
    found = diff_selections(run.root, "top", "wide-1")
    a, b = _ids(run, "top"), _ids(run, "wide-1")
    assert (found.a.num_rows, found.b.num_rows, found.both) == (len(a), len(b), len(a & b))
    assert (found.a.only, found.b.only) == (len(a - b), len(b - a))
    assert found.jaccard == len(a & b) / len(a | b)
    labels = {row["row_id"]: row["pseudo_label"] for row in run.scores.to_pylist()}
    for row in found.classes:
        rows = {row_id for row_id in a | b if labels[row_id] == row["pseudo_label"]}
        expected = (len(rows & a - b), len(rows & b - a), len(rows & a & b))
        assert (row["only_a"], row["only_b"], row["both"]) == expected
    differing = [row["only_a"] + row["only_b"] for row in found.classes]
    assert differing == sorted(differing, reverse=True)
    assert found.classes[0]["class_name"] == "airplane"
    assert found.warnings == []


def test_why_the_other_selection_lacks_them(run: SyntheticRun) -> None:
    found = diff_selections(run.root, "top", "wide-1", examples=3)
    assert found.a.sampled == min(SAMPLE, found.a.only) == sum(found.a.reasons.values())
    assert list(found.a.reasons.values()) == sorted(found.a.reasons.values(), reverse=True)
    assert {reason.split(" ")[0] for reason in found.a.reasons} == {
        "source", "steps[0].exclude", "steps[1].quota",
    }  # fmt: skip
    assert list(found.b.reasons) == ["steps[0].take (take 200 lowest noise_value)"]
    assert len(found.a.examples) == len(found.b.examples) == 3
    for example in found.a.examples:
        assert example["row_id"] in _ids(run, "top") - _ids(run, "wide-1")
        assert "is not in wide-1: " in example["why"]


def test_a_selection_against_itself(run: SyntheticRun) -> None:
    found = diff_selections(run.root, "top", "top")
    assert (found.jaccard, found.both) == (1, 200)
    assert (found.a.only, found.a.reasons, found.a.examples) == (0, {}, [])


def test_the_same_answer_every_time(run: SyntheticRun) -> None:
    assert diff_selections(run.root, "top", "wide-1") == diff_selections(run.root, "top", "wide-1")


def test_what_cannot_be_told_does_not_stop_the_rest(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    listed = tmp_path / "takedown.txt"
    listed.write_text("s00000/img000001\n")
    select(run.root, TOP, "top")
    select(run.root, {"steps": [{"exclude": {"list": str(listed)}}]}, "rest")
    listed.write_text("s00000/img000002\n")
    found = diff_selections(run.root, "top", "rest")
    assert "takedown.txt has changed" in found.a.untold or found.a.only == 0
    assert found.b.untold == ""
    assert found.both + found.a.only == 200


def test_selections_of_different_tables_are_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_shards=3)
    parts = [run.layout.scores_part(f"{shard:08d}-00000000") for shard in range(3)]
    write_table_list(run.layout, "scores", parts[:2])
    select(run.root, {"steps": [{"take": {"n": 50, "order": "margin"}}]}, "old")
    write_table_list(run.layout, "scores", parts)
    select(run.root, {"steps": [{"take": {"n": 50, "order": "margin"}}]}, "new")
    found = diff_selections(run.root, "old", "new")
    assert "different versions of scores" in found.warnings[0]
    assert sum(found.b.reasons.values()) == found.b.sampled == found.b.only
    assert "not in the tables of old" in found.b.reasons


@pytest.mark.parametrize("arguments", [["diff", "{run}", "top", "wide-1"],
                                       ["select", "{run}", "--diff", "top", "wide-1"]])  # fmt: skip
def test_from_the_command_line(run: SyntheticRun, arguments: list[str]) -> None:
    command = [run.root if one == "{run}" else one for one in arguments]
    text = CliRunner().invoke(app, command)
    assert text.exit_code == 0, text.stderr
    for line in ("A = top: 200 images", "only B", "airplane", "only in A (top), because in B"):
        assert line in text.stdout
    answer = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert (answer["exit_code"], answer["a"]["name"], answer["b"]["name"]) == (0, "top", "wide-1")
    assert answer["both"] == len(_ids(run, "top") & _ids(run, "wide-1"))


def test_wrong_use(run: SyntheticRun) -> None:
    with pytest.raises(UsageError, match="no selection 'topp'; did you mean 'top'"):
        diff_selections(run.root, "top", "topp")
    neither = CliRunner().invoke(app, ["select", run.root])
    assert neither.exit_code == 2
    assert "--recipe" in neither.stderr
    both = CliRunner().invoke(app, ["select", run.root, "--recipe", "dfnd", "--diff", "top", "top"])
    assert both.exit_code == 2
    assert "--diff" in both.stderr
