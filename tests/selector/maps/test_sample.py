"""sample: the rows of a map, the same ones whatever the order."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from selector.maps import sample as module
from selector.maps.sample import draw_rows
from selector.selection import select
from selector.tables.connection import connect
from selector.tables.selections import read_selection
from tests.support.runs import SyntheticRun, write_run

SELECTION = {"name": "few", "steps": [{"take": {"n": 12, "order": "noise_value"}}]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    made = write_run(tmp_path_factory.mktemp("run"), num_shards=3, per_shard=200)
    select(made.root, SELECTION)
    return made


def drawn(run: SyntheticRun, points: int, *, seed: int = 0) -> np.ndarray:
    with connect(run.root) as sql:
        return draw_rows(sql, selections=["few"], points=points, seed=seed)


def scored_rows(run: SyntheticRun) -> np.ndarray:
    return run.scores.filter(pc.is_valid(run.scores["noise_value"]))["row_id"].to_numpy()


def test_a_small_pool_is_drawn_whole(run: SyntheticRun) -> None:
    assert drawn(run, 1000).tolist() == scored_rows(run).tolist()


def test_a_sample_holds_the_selection_and_every_class(run: SyntheticRun) -> None:
    rows = drawn(run, 100)
    assert len(rows) == 100
    assert (np.diff(rows) > 0).all()
    selected = read_selection(run.layout, "few")["row_id"].to_numpy()
    assert set(selected) <= set(rows)
    chosen = run.scores.filter(pc.is_in(run.scores["row_id"], pa.array(rows)))
    frequent = set(np.flatnonzero(np.bincount(scored_labels(run)) > 20))
    assert frequent <= set(chosen["pseudo_label"].to_pylist())


def scored_labels(run: SyntheticRun) -> np.ndarray:
    return run.scores["pseudo_label"].drop_null().to_numpy()


def test_batches_and_seed(run: SyntheticRun, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = drawn(run, 100)
    monkeypatch.setattr(module, "_BATCH_ROWS", 7)
    assert drawn(run, 100).tolist() == rows.tolist()
    assert drawn(run, 100, seed=1).tolist() != rows.tolist()


def test_a_larger_sample_contains_most_of_a_smaller(run: SyntheticRun) -> None:
    assert len(set(drawn(run, 100)) & set(drawn(run, 200))) > 90
