from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selector.explain import explain
from selector.selection import select
from selector.tables.layout import RunLayout
from selector.tables.selections import read_selection, selection_part
from selector.tables.write import write_part, write_table_list
from shards.errors import CoursepackError, UsageError
from tests.support.runs import SyntheticRun, write_run
from tests.support.score_rows import score_rows


def quota(n: int, shortage: str, order: str = "noise_value") -> dict:
    return {"quota": {"by": "pseudo_label", "n": n, "order": order, "shortage": shortage}}


def take(**options: object) -> dict:
    return {"take": {"order": "noise_value", **options}}


SAMPLE = {"sample": {"n": 40, "seed": 2}}
RECIPES = {
    "take": [take(n=30)],
    "highest": [take(n=30, descending=True)],
    "share": [take(quantile=0.3, order="margin")],
    "limit": [take(threshold=0.25), take(threshold=0.2, order="margin")],
    "accept": [quota(20, "accept")],
    "redistribute": [quota(15, "redistribute", "max_prob")],
    "chain": [{"where": "width >= 200"}, quota(8, "redistribute"), take(n=20), SAMPLE],
    "all": [{"all": [take(n=60), SAMPLE, {"where": "width >= 200"}]}],
    "any": [{"any": [take(n=20), {"where": "margin >= 1"}, quota(2, "accept")]}],
    "fill": [{"fill": {"n": 50, "from": [take(n=10), quota(9, "accept"), SAMPLE]}}],
    "fill-short": [{"fill": {"n": 5, "from": [take(n=10), SAMPLE]}}],
    "nested": [{"any": [{"all": [take(n=50), SAMPLE]}, {"any": [{"where": "width < 20"}]}]}],
    "exclude": [{"exclude": {"list": ["row_id:0", "hash:" + "01" * 16]}}, take(n=9)],
}
for steps in RECIPES.values():  # what is short is told, not refused: the pool is small
    for step in steps:
        for kind in ("take", "sample"):
            if kind in step and "n" in step[kind]:
                step[kind]["shortage"] = "accept"


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> RunLayout:
    """A run of 150 rows full of ties, all of one key, so that one question explains them all."""
    root = tmp_path_factory.mktemp("runs") / "tied"
    layout = write_run(root, num_shards=1, per_shard=1, class_names=["cat", "dog"] * 3).layout
    rows = score_rows(150).sort_by("row_id")
    at = rows.schema.get_field_index("key")
    rows = rows.set_column(at, rows.schema.field(at), pa.array(["same"] * 150))
    part = layout.scores_part("00000000-00000000")
    write_part(part, rows)
    write_table_list(layout, "scores", [part])
    return layout


@pytest.mark.parametrize("name", RECIPES)
def test_every_row_is_explained_as_it_was_decided(tied: RunLayout, name: str) -> None:
    # `explain` itself raises when its account of a row contradicts the stored rows.
    select(tied.root, {"steps": RECIPES[name]}, name)
    told = explain(tied.root, "same", selection=name)
    assert len(told) == 150
    inside = [match["row_id"] for match in told if match["selected"]]
    assert inside == read_selection(tied, name)["row_id"].to_pylist()
    assert 0 < len(inside) < 150
    for match in told:
        decisions = [step["decision"] for step in match["steps"]]
        assert len(decisions) == 1 + len(RECIPES[name])
        if match["selected"]:
            assert set(decisions) == {"in"}
        else:
            out = decisions.index("out")
            assert decisions[:out] == ["in"] * out
            assert set(decisions[out + 1 :]) <= {"not reached"}


LISTED = "s00001/img000008"
"""Wide enough to pass the source."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    run = write_run(tmp_path_factory.mktemp("runs") / "run")
    recipe = {
        "source": {"where": "width >= 32"},
        "steps": [{"exclude": {"list": [LISTED]}}, quota(10, "redistribute")],
    }
    select(run.root, recipe, "q")
    return run


def row_of(run: SyntheticRun, wanted) -> dict:
    return next(row for row in run.scores.to_pylist() if wanted(row))


def test_values_cuts_and_classes_are_told_in_words(run: SyntheticRun) -> None:
    inside = set(read_selection(run.layout, "q")["row_id"].to_pylist())
    row = row_of(run, lambda r: r["row_id"] in inside and r["pseudo_label"] == 0)
    (match,) = explain(run.root, row["key"], selection="q")
    assert match["selected"] is True
    assert (match["class_name"], match["pseudo_label"]) == ("airplane", 0)
    assert f"{row['key']} is in q: steps[1].quota: noise_value" in match["why"]
    text = match["steps"][-1]["text"]
    assert f"noise_value {row['noise_value']:.9g}, within the cut " in text
    assert "rows of pseudo_label 0 (airplane) kept" in text
    noisy = max(
        (r for r in run.scores.to_pylist() if r["pseudo_label"] == 0 and r["width"] >= 32),
        key=lambda r: r["noise_value"],
    )
    (match,) = explain(run.root, noisy["key"], selection="q")
    assert match["selected"] is False
    assert "beyond the cut" in match["why"]


def test_other_reasons(run: SyntheticRun) -> None:
    def why(key: str | int) -> str:
        (match,) = explain(run.root, key, selection="q")
        assert not match["selected"]
        return match["why"]

    assert "source: status is not ok (undecodable: not an image)" in why("s00000/img000019")
    small = row_of(run, lambda r: r["width"] is not None and r["width"] < 32)
    assert "source: not true: " in why(small["key"])
    assert "width >= 32" in why(small["key"])
    assert "steps[0].exclude: on the list" in why(LISTED)


def test_key_row_id_and_hash_all_name_a_row(run: SyntheticRun) -> None:
    row = run.scores.to_pylist()[3]
    by_key = explain(run.root, row["key"], selection="q")
    assert by_key[0]["row_id"] == row["row_id"]
    for name in (row["row_id"], str(row["row_id"]), f"row_id:{row['row_id']}"):
        assert explain(run.root, name, selection="q") == by_key
    assert explain(run.root, row["content_hash"].hex(), selection="q") == by_key


def test_unknown_names(run: SyntheticRun) -> None:
    with pytest.raises(UsageError, match="has the key or row_id 'nobody'"):
        explain(run.root, "nobody", selection="q")
    with pytest.raises(UsageError, match="no selection 'p'"):
        explain(run.root, "s00000/img000001", selection="p")


def test_the_tables_of_the_time_are_looked_at(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    parts = [run.layout.scores_part(f"{shard:08d}-00000000") for shard in range(3)]
    write_table_list(run.layout, "scores", parts[:2])
    select(run.root, "random", "r", n=20)
    write_table_list(run.layout, "scores", parts)
    assert len(explain(run.root, "s00001/img000000", selection="r")) == 1
    with pytest.raises(UsageError, match="version 2, from which 'r' was selected"):
        explain(run.root, "s00002/img000000", selection="r")


def test_a_changed_list_is_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    takedown = tmp_path / "takedown.txt"
    takedown.write_text("s00000/img000001\n")
    select(run.root, {"steps": [{"exclude": {"list": str(takedown)}}]}, "rest")
    (match,) = explain(run.root, "s00000/img000001", selection="rest")
    assert "on the list" in match["why"]
    takedown.write_text("s00000/img000002\n")
    with pytest.raises(UsageError, match="has changed since 'rest' was selected"):
        explain(run.root, "s00000/img000001", selection="rest")


def test_a_file_that_contradicts_its_cuts_is_not_explained_away(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    select(run.root, "random", "r", n=20)
    uri = selection_part(run.layout, "r")
    table = pq.read_table(uri)
    write_part(uri, table.slice(1))
    lost = table["row_id"][0].as_py()
    key = row_of(run, lambda r: r["row_id"] == lost)["key"]
    with pytest.raises(CoursepackError, match="contradicts its stored cuts"):
        explain(run.root, key, selection="r")
