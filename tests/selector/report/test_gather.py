"""gather: the numbers of a report against the same numbers counted in numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from selector.report import gather as module
from selector.report.facts import RunFacts
from selector.report.gather import gather
from selector.selection import select
from shards.errors import UsageError
from tests.support.runs import CLASS_NAMES, SyntheticRun, write_run

RECIPE = {"name": "top", "steps": [{"take": {"n": 70, "order": "noise_value"}}]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    made = write_run(tmp_path_factory.mktemp("run"), num_shards=3, per_shard=200)
    select(made.root, RECIPE)
    return made


@pytest.fixture(scope="module")
def facts(run: SyntheticRun) -> RunFacts:
    return gather(run.root, "top")


def scored(run: SyntheticRun) -> pa.Table:
    return run.scores.filter(pc.is_valid(run.scores["noise_value"]))


def kept_mask(run: SyntheticRun) -> np.ndarray:
    values = scored(run)["noise_value"].to_numpy()
    return values <= np.sort(values)[69]


def test_every_row_has_its_place(run: SyntheticRun, facts: RunFacts) -> None:
    assert facts.num_rows == run.scores.num_rows == 600
    assert facts.num_selected == 70
    assert facts.status_counts == (("ok", 570), ("undecodable", 30))
    assert facts.histogram is not None
    assert facts.histogram.pool.sum() == 570
    assert facts.histogram.selected.sum() == 70
    assert facts.classes.pool.sum() == 570
    assert facts.kept.num_rows + facts.dropped.num_rows == 570


def test_bins_hold_what_lies_in_them(run: SyntheticRun, facts: RunFacts) -> None:
    histogram = facts.histogram
    assert histogram is not None
    values = scored(run)["noise_value"].to_numpy().astype(np.float64)
    edges = [histogram.bins.range_of(i)[0] for i in range(histogram.bins.num_bins)]
    expected, _ = np.histogram(values, bins=[*edges, np.inf])
    assert histogram.pool.tolist() == expected.tolist()
    expected, _ = np.histogram(values[kept_mask(run)], bins=[*edges, np.inf])
    assert histogram.selected.tolist() == expected.tolist()


def test_classes_are_counted_and_named(run: SyntheticRun, facts: RunFacts) -> None:
    labels = scored(run)["pseudo_label"].to_numpy()
    assert facts.classes.names == CLASS_NAMES
    assert facts.classes.pool.tolist() == np.bincount(labels, minlength=10).tolist()
    kept = np.bincount(labels[kept_mask(run)], minlength=10)
    assert facts.classes.selected.tolist() == kept.tolist()


def test_kept_rows_are_the_selected_ones(run: SyntheticRun, facts: RunFacts) -> None:
    rows = scored(run)["row_id"].to_numpy()
    assert facts.kept["row_id"].to_pylist() == rows[kept_mask(run)].tolist()
    assert facts.dropped["row_id"].to_pylist() == rows[~kept_mask(run)].tolist()


def test_failures_show_their_first_images(facts: RunFacts) -> None:
    (failure,) = facts.failures
    assert (failure.status, failure.count) == ("undecodable", 30)
    assert [e["key"] for e in failure.examples] == [
        f"s00000/img{i:06d}" for i in range(19, 120, 20)
    ][:5]
    assert failure.examples[0]["error"] == "not an image"


def test_a_run_that_tells_little_of_its_origin_is_enough(facts: RunFacts) -> None:
    assert facts.origin.teacher == ""
    assert "png" in facts.origin.image_ext


def test_classes_without_names_are_numbers(tmp_path: Path) -> None:
    made = write_run(tmp_path / "run", class_names=None, num_shards=1)
    select(made.root, RECIPE)
    names = gather(made.root, "top").classes.names
    assert names == tuple(str(i) for i in range(len(names)))


def test_a_large_pool_is_thinned_the_same_way_each_time(
    run: SyntheticRun, facts: RunFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GALLERY_ROWS", 100)
    first, second = gather(run.root, "top"), gather(run.root, "top")
    assert first.thinned
    assert not facts.thinned
    assert 0 < first.dropped.num_rows < 200
    assert first.kept.num_rows == 70
    assert first.dropped.equals(second.dropped)
    assert set(first.dropped["row_id"].to_pylist()) < set(facts.dropped["row_id"].to_pylist())


def test_zero_noise_goes_to_the_first_bin_and_all_zero_has_no_histogram(tmp_path: Path) -> None:
    from selector.tables.read import table_parts
    from selector.tables.write import write_part

    made = write_run(tmp_path / "run", num_shards=1, failed_every=0)
    (part,) = table_parts(made.layout, "scores")
    at = made.scores.schema.get_field_index("noise_value")
    field = made.scores.schema.field(at)
    values = made.scores["noise_value"].to_numpy().copy()
    values[:3] = 0
    table = made.scores.set_column(at, field, pa.array(values))
    write_part(part, table)
    select(made.root, RECIPE)
    histogram = gather(made.root, "top").histogram
    assert histogram is not None
    assert histogram.pool.sum() == 100
    assert histogram.pool[0] >= 3
    write_part(part, made.scores.set_column(at, field, pa.array(np.zeros(100, np.float32))))
    assert gather(made.root, "top").histogram is None


def test_an_unknown_selection_is_named(run: SyntheticRun) -> None:
    with pytest.raises(UsageError, match="no selection 'tops'; did you mean 'top'"):
        gather(run.root, "tops")
