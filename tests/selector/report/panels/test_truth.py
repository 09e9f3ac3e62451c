"""truth: precision and recall of the selection by what the pool says of itself."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from selector.report.album import Album
from selector.report.panels.truth import draw_truth, gather_truth
from selector.report.source import open_source
from selector.selection import select
from tests.support.runs import write_facts, write_run


def test_precision_and_recall_are_counts_over_rows_of_known_truth(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_shards=1, failed_every=0)
    select(run.root, {"name": "top", "steps": [{"take": {"n": 10, "order": "noise_value"}}]})
    rows = run.scores.sort_by("noise_value")["row_id"].to_pylist()
    is_positive = {row: 1 for row in [*rows[:5], *rows[50:65]]}
    unknown = set(rows[9:10])
    ids = run.scores["row_id"].to_pylist()
    truth = [None if row in unknown else is_positive.get(row, 0) for row in ids]
    columns = {"row_id": pa.array(ids), "is_positive": pa.array(truth, pa.int8())}
    write_facts(run, "truth", columns)
    with open_source(run.root, "top") as source:
        found = gather_truth(source)
    assert found is not None
    assert (found.pool, found.positives, found.selected, found.hits) == (99, 20, 9, 5)
    assert "5 of 9" in draw_truth(found, Album())


def test_without_truth_there_is_no_panel(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_shards=1)
    select(run.root, {"name": "top", "steps": [{"take": {"n": 10, "order": "noise_value"}}]})
    with open_source(run.root, "top") as source:
        assert gather_truth(source) is None
