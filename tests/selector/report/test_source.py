"""source: what all panels know of a run, and the selections marked in the scores."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pytest

from selector.report.source import open_source
from selector.selection import select
from shards.errors import UsageError
from tests.support.runs import CLASS_NAMES, SyntheticRun, write_run


def recipe(name: str, n: int) -> dict[str, object]:
    return {"name": name, "steps": [{"take": {"n": n, "order": "noise_value"}}]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    made = write_run(tmp_path_factory.mktemp("run"), num_shards=3, per_shard=200)
    select(made.root, recipe("top", 70))
    select(made.root, recipe("wide", 90))
    return made


def test_every_row_has_its_place(run: SyntheticRun) -> None:
    with open_source(run.root, "top") as source:
        facts = source.facts
        assert source.sql.sql("SELECT count(*) FROM judged").fetchall() == [(600,)]
        assert source.sql.sql("SELECT count(*) FROM judged WHERE selected").fetchall() == [(70,)]
        assert source.sql.sql("SELECT count(compared) FROM judged").fetchall() == [(0,)]
    assert facts.num_rows == run.scores.num_rows == 600
    assert facts.num_selected == 70
    assert facts.status_counts == (("ok", 570), ("undecodable", 30))
    assert facts.class_names == CLASS_NAMES
    assert facts.reach == {0, 1, 2}
    assert facts.uri(1).endswith("shard-000001.tar")
    assert facts.uri(7) == ""


def test_a_second_selection_is_marked_beside_the_first(run: SyntheticRun) -> None:
    with open_source(run.root, "top", compare="wide") as source:
        counts = source.sql.sql(
            "SELECT selected, compared, count(*) FROM judged GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    assert counts == [(False, False, 510), (False, True, 20), (True, True, 70)]


def test_a_source_knows_which_tables_there_are(run: SyntheticRun) -> None:
    with open_source(run.root, "top") as source:
        assert source.has("members")
        assert not source.has("pu")


def test_a_run_that_tells_little_of_its_origin_is_enough(run: SyntheticRun) -> None:
    with open_source(run.root, "top") as source:
        assert source.facts.origin.teacher == ""
        assert "png" in source.facts.origin.image_ext


def test_classes_without_names_are_numbers(tmp_path: Path) -> None:
    made = write_run(tmp_path / "run", class_names=None, num_shards=1)
    select(made.root, recipe("top", 5))
    with open_source(made.root, "top") as source:
        names = source.facts.class_names
    last = pc.max(made.scores["pseudo_label"]).as_py()
    assert names == tuple(str(i) for i in range(last + 1))
    assert source.facts.class_name(1) == "1"
    assert source.facts.class_name(None) == ""


def test_an_unknown_selection_is_named(run: SyntheticRun) -> None:
    for names in ({"selection": "tops"}, {"selection": "top", "compare": "tops"}):
        with pytest.raises(UsageError, match="no selection 'tops'; did you mean 'top'"):
            open_source(run.root, **names).__enter__()
