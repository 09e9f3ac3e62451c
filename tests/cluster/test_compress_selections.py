from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from cluster.compress_selections import arm_recipe, precision, unselected_classes
from selector.selection import select
from tests.cluster.test_compress_arms import BASELINES
from tests.cluster.test_compress_config import load
from tests.support.runs import CLASS_NAMES, write_facts, write_run


def test_each_arm_has_its_recipe() -> None:
    config = load({**BASELINES, "select": {"recipe": "pu-s2", "n": 50}, "seed": 3})
    assert arm_recipe(config, "pu", n=0) == ("pu-s2", 50)
    recipe, n = arm_recipe(config, "random", n=40)
    assert isinstance(recipe, dict)
    assert (recipe["steps"], n) == ([{"sample": {"n": 40, "seed": 3}}], None)
    assert arm_recipe(config, "ground_truth", n=40) == ("baseline-ground-truth", None)


def test_precision_is_the_share_of_the_selection_that_is_of_the_domain(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_shards=1, failed_every=0)
    select(run.root, {"name": "top", "steps": [{"take": {"n": 8, "order": "noise_value"}}]})
    rows = run.scores.sort_by("noise_value")["row_id"].to_pylist()
    ids = run.scores["row_id"].to_pylist()
    # Of the eight, three are positives and one is not known, which counts as none.
    known = {**dict.fromkeys(rows, 0), **dict.fromkeys(rows[:3], 1), rows[5]: None}
    truth = pa.array([known[row] for row in ids], pa.int8())
    write_facts(run, "truth", {"row_id": pa.array(ids), "is_positive": truth})
    assert precision(run.root, "top") == pytest.approx(3 / 8)


def test_classes_that_nobody_selected_are_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_shards=1)
    recipe = {"source": {"where": "pseudo_label IN (0, 2)"}, "steps": []}
    select(run.root, {"name": "two", **recipe})
    empty = unselected_classes(run.root, "two", num_classes=10, class_names=CLASS_NAMES)
    assert empty == [name for k, name in enumerate(CLASS_NAMES) if k not in (0, 2)]
    assert unselected_classes(run.root, "two", num_classes=3, class_names=None) == ["1"]
