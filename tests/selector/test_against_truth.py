from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selector.against_truth import against_truth, average_precision, truth_lookup
from selector.tables.facts import find_fact
from selector.tables.schema import row_id
from tests.support.runs import SyntheticRun, write_facts, write_run


@pytest.fixture
def run(tmp_path: Path) -> SyntheticRun:
    run = write_run(tmp_path / "run", num_shards=1, per_shard=6)
    ids = pa.array(row_id(0, 0) + np.arange(6))
    scores = pa.array([3.0, 2.0, -1.0, None, 1.0, -2.0], pa.float32())
    write_facts(run, "pu", {"row_id": ids, "pu_score": scores})
    return run


def add_truth(run: SyntheticRun, values: list[int | None]) -> None:
    ids = pa.array(row_id(0, 0) + np.arange(6))
    write_facts(run, "truth", {"row_id": ids, "is_positive": pa.array(values, pa.int8())})


def test_precision_and_recall_of_what_is_known(run: SyntheticRun) -> None:
    table = find_fact(run.layout, "pu")
    assert against_truth(run.layout, table, "pu_score") is None
    add_truth(run, [1, 0, 1, 1, None, 0])
    found = against_truth(run.layout, table, "pu_score")
    # Known and scored: 3 (yes), 2 (no), -1 (yes), -2 (no).
    assert found == {
        "num_positives": 2,
        "average_precision": pytest.approx((1 + 2 / 3) / 2),
        "precision": 0.5,
        "recall": 0.5,
    }


def test_truth_of_rows_in_any_order(run: SyntheticRun) -> None:
    assert truth_lookup(run.layout) is None
    add_truth(run, [1, 0, 1, 1, None, 0])
    look_up = truth_lookup(run.layout)
    assert look_up is not None
    found = look_up(np.array([4, 0, 99, 1]) + row_id(0, 0))
    assert np.array_equal(found, [np.nan, 1, np.nan, 0], equal_nan=True)


def test_a_pool_without_positives_has_no_precision(run: SyntheticRun) -> None:
    add_truth(run, [0] * 6)
    assert against_truth(run.layout, find_fact(run.layout, "pu"), "pu_score") is None


rows = st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=1, max_size=30)


@given(rows.filter(lambda found: any(truth for _, truth in found)))
def test_average_precision_by_its_definition(found: list[tuple[int, bool]]) -> None:
    scores, truth = (np.array(values) for values in zip(*found, strict=True))
    area, recall_before = 0.0, 0.0
    for level in sorted(set(scores.tolist()), reverse=True):
        taken = scores >= level
        recall = truth[taken].sum() / truth.sum()
        area += (recall - recall_before) * truth[taken].mean()
        recall_before = recall
    assert average_precision(scores.astype(float), truth) == pytest.approx(area)


def test_average_precision_needs_a_positive() -> None:
    with pytest.raises(ValueError, match="no positive row"):
        average_precision(np.ones(2), np.zeros(2, bool))
