"""map_points: what a page's map shows of the map of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from selector.report import map_points as module
from selector.report.map_columns import NOTHING, Categories, Numbers
from selector.report.map_points import Points, gather_points, thin
from selector.report.source import open_source
from selector.selection import select
from tests.support.runs import CLASS_NAMES, SyntheticRun, write_facts, write_run


def write_map(run: SyntheticRun, *, places: bool = True) -> None:
    """A map of made-up places; failed images have none."""
    rows = run.scores["row_id"].to_numpy()
    failed = ~run.scores["noise_value"].is_valid().to_numpy() | (not places)
    xy = np.random.default_rng(0).standard_normal((len(rows), 2)).astype(np.float32)
    columns = {"x": pa.array(xy[:, 0], mask=failed), "y": pa.array(xy[:, 1], mask=failed)}
    write_facts(run, "map", {"row_id": pa.array(rows), **columns})


@pytest.fixture
def run(tmp_path: Path) -> SyntheticRun:
    made = write_run(tmp_path / "run", num_shards=2, per_shard=60)
    for name, n in (("top", 30), ("wide", 40)):
        select(made.root, {"name": name, "steps": [{"take": {"n": n, "order": "noise_value"}}]})
    return made


def points_of(run: SyntheticRun, *, compare: str | None = None) -> Points | None:
    with open_source(run.root, "top", compare=compare) as source:
        return gather_points(source)


def test_a_run_without_a_map_has_no_points(run: SyntheticRun) -> None:
    assert points_of(run) is None


def test_points_have_keys_places_and_colours(run: SyntheticRun) -> None:
    write_map(run)
    points = points_of(run)
    assert points is not None
    assert len(points.row_ids) == len(points.keys) == len(points.places) == 114
    assert points.pictured == points.row_ids.tolist()
    assert (points.num_drawn, points.unread) == (114, 0)
    selection, classes, noise = points.columns[:3]
    assert isinstance(selection, Categories)
    assert selection.names == ("not selected", "top")
    assert np.bincount(selection.codes).tolist() == [84, 30]
    assert isinstance(classes, Categories)
    assert set(classes.names) <= set(CLASS_NAMES)
    assert isinstance(noise, Numbers)
    assert noise.log


def test_two_selections_make_four_colours(run: SyntheticRun) -> None:
    write_map(run)
    points = points_of(run, compare="wide")
    assert points is not None
    selection = points.columns[0]
    assert isinstance(selection, Categories)
    assert selection.names == ("in neither", "only in top", "only in wide", "in both")
    assert np.bincount(selection.codes, minlength=4).tolist() == [74, 0, 10, 30]


def test_facts_of_other_kinds_colour_as_well(run: SyntheticRun) -> None:
    write_map(run)
    rows = run.scores["row_id"].to_numpy()
    row_ids = pa.array(rows)
    pu = pa.array(np.linspace(0, 1, len(rows)), pa.float32())
    write_facts(run, "pu", {"row_id": row_ids, "pu_prob": pu})
    kept = pa.array(np.full(len(rows), rows[0]), mask=np.arange(len(rows)) % 10 != 1)
    write_facts(run, "duplicates_exact", {"row_id": row_ids, "duplicate_of": kept})
    points = points_of(run)
    assert points is not None
    found = {column.name: column for column in points.columns}
    assert isinstance(found["pu: pu prob"], Numbers)
    duplicates = found["duplicates exact"]
    assert isinstance(duplicates, Categories)
    assert duplicates.names == ("true", "false")
    assert NOTHING not in duplicates.codes


def test_of_too_many_points_a_sample_with_the_selection_in_it(
    run: SyntheticRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_map(run)
    monkeypatch.setattr(module, "MOST_POINTS", 60)
    points = points_of(run)
    assert points is not None
    assert (len(points.row_ids), points.num_drawn) == (60, 114)
    assert isinstance(points.columns[0], Categories)
    assert np.bincount(points.columns[0].codes).tolist() == [30, 30]
    again = points_of(run)
    assert again is not None
    assert again.row_ids.tolist() == points.row_ids.tolist()


def test_pictures_that_cost_too_much_are_left_out(
    run: SyntheticRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_map(run)
    monkeypatch.setattr(module, "LOCAL_BYTES", 100_000)
    points = points_of(run)
    assert points is not None
    assert 0 < len(points.pictured) < 114
    assert points.unread == 114 - len(points.pictured)


def test_a_map_without_a_place_is_none(run: SyntheticRun) -> None:
    write_map(run, places=False)
    assert points_of(run) is None


def test_few_rows_stay_as_they_are() -> None:
    rows = pa.table({"row_id": [1, 2]})
    assert thin(rows, 2) is rows
