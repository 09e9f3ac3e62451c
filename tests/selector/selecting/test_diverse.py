"""The steps `diverse` and `balance` on a run with features, and what `explain` says of them."""

from pathlib import Path

import numpy as np
import pytest

from selector.explain import explain
from selector.selecting.diverse import pack, was_kept
from selector.selection import select
from selector.tables.selections import read_selection
from shards.errors import UsageError
from tests.support.feature_tables import write_features
from tests.support.runs import SyntheticRun, write_run


@pytest.fixture
def run(tmp_path: Path) -> SyntheticRun:
    """60 rows: all look one way, but for rows 10 (zeros), 20, 40 (NaN) and 50."""
    run = write_run(tmp_path / "run", num_shards=2, per_shard=30, failed_every=0)
    vectors = np.array([1.0, 0, 0, 0]) + 0.01 * np.random.default_rng(0).standard_normal((60, 4))
    vectors[20], vectors[50] = [0, 1, 0, 0], [0, 0, 7, 0]
    vectors[10], vectors[40] = 0, np.nan
    write_features(run, vectors)
    return run


def chosen(run: SyntheticRun, name: str) -> set[int]:
    ids = run.scores["row_id"].to_pylist()
    return {ids.index(row_id) for row_id in read_selection(run.layout, name)["row_id"].to_pylist()}


def test_what_is_unlike_comes_first(run: SyntheticRun) -> None:
    step = {"diverse": {"n": 3, "order": "noise_value"}}
    selection = select(run.root, {"steps": [step]}, "three")
    noise = run.scores["noise_value"].to_numpy().copy()
    noise[[10, 40]] = np.inf  # without features they do not take part
    assert chosen(run, "three") == {int(noise.argmin()), 20, 50}
    assert selection.stats["tables"]["features"] == 1
    assert selection.stats["steps"][0]["unranked"] == 2
    row_ids = run.scores["row_id"].to_pylist()
    told = {row: explain(run.root, str(row_ids[row]), selection="three") for row in (20, 10)}
    assert told[20][0]["selected"]
    assert "unlike the others" in told[20][0]["why"]
    assert not told[10][0]["selected"]
    assert "too like" in told[10][0]["why"]


def test_of_each_group_and_after_other_steps(run: SyntheticRun) -> None:
    label = run.scores["pseudo_label"].to_numpy()
    steps = [
        {"where": "pseudo_label <= 1"},
        {"diverse": {"by": "pseudo_label", "n": 4, "order": "noise_value"}},
        {"take": {"n": 5, "order": "noise_value"}},
    ]
    select(run.root, {"steps": steps[:2]}, "groups")
    rows = sorted(chosen(run, "groups"))
    assert np.bincount(label[rows]).tolist() == [4, 4]
    select(run.root, {"steps": steps}, "fewer")
    assert chosen(run, "fewer") < set(rows)


def test_too_few_rows_and_no_features(run: SyntheticRun, tmp_path: Path) -> None:
    diverse = {"by": "pseudo_label", "n": 30, "order": "noise_value"}
    with pytest.raises(UsageError, match=r"groups have fewer than 30 rows with features: "):
        select(run.root, {"steps": [{"diverse": diverse}]}, "x")
    all_of_them = select(
        run.root, {"steps": [{"diverse": {**diverse, "shortage": "accept"}}]}, "accepted"
    )
    assert all_of_them.num_rows == 58
    assert all_of_them.stats["warnings"]
    with pytest.raises(UsageError, match=r"diverse.features: the run has no 'features_other'"):
        select(run.root, {"steps": [{"diverse": {**diverse, "features": "features_other"}}]}, "x")
    bare = write_run(tmp_path / "bare", num_shards=1, per_shard=10)
    with pytest.raises(UsageError, match="--features full` adds them"):
        select(bare.root, {"steps": [{"diverse": diverse}]}, "x")


def test_balance_fills_small_groups_first(run: SyntheticRun) -> None:
    counts = np.bincount(run.scores["pseudo_label"].to_numpy())
    step = {"balance": {"by": "pseudo_label", "n": 25, "order": "noise_value"}}
    select(run.root, {"steps": [step]}, "balanced")
    label = run.scores["pseudo_label"].to_numpy()[sorted(chosen(run, "balanced"))]
    got = np.bincount(label, minlength=len(counts))
    assert got.sum() == 25
    full = got == counts
    assert got[~full].max() - got[~full].min() <= 1
    assert counts[full].max() <= got[~full].max()
    with pytest.raises(UsageError, match="61 rows wanted, 60 there"):
        select(run.root, {"steps": [{"balance": {**step["balance"], "n": 61}}]}, "x")
    row = run.scores["row_id"][int(run.scores["noise_value"].to_numpy().argmin())]
    assert explain(run.root, str(row), selection="balanced")[0]["selected"]


def test_packed_rows_come_back() -> None:
    rows = np.array([0, 5, 1 << 32, (7 << 32) + 9], np.int64)
    entry = {"kept_rows": pack(rows)}
    assert all(was_kept(entry, row) for row in rows.tolist())
    assert not was_kept(entry, 6)
    assert not was_kept({"kept_rows": pack(rows[:0])}, 0)
