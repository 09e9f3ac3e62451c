from pathlib import Path

import pytest

from selector.selection import select
from selector.tables.selections import (
    known_selection_stats,
    read_selection,
    selection_names,
    selection_stats,
)
from shards.errors import UsageError
from tests.support.runs import SyntheticRun, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    run = write_run(tmp_path_factory.mktemp("runs") / "run")
    for name in ("top", "all-of-it"):
        select(run.root, "random", name, n=20)
    return run


def test_finished_selections_are_listed(run: SyntheticRun) -> None:
    unfinished = Path(run.layout.selection_dir("unfinished"))
    unfinished.mkdir(exist_ok=True)
    (unfinished / "selection.parquet").write_bytes(b"half")
    assert selection_names(run.layout) == ["all-of-it", "top"]
    assert selection_stats(run.layout, "unfinished") is None


def test_a_run_without_selections_has_none(tmp_path: Path) -> None:
    assert selection_names(write_run(tmp_path / "run").layout) == []


def test_rows_are_read_sorted(run: SyntheticRun) -> None:
    table = read_selection(run.layout, "top")
    assert table.column_names == ["row_id", "weight", "reason"]
    row_ids = table["row_id"].to_pylist()
    assert row_ids == sorted(set(row_ids))
    assert len(row_ids) == 20
    assert set(table["weight"].to_pylist()) == {1.0}


def test_an_unknown_name_gets_a_suggestion(run: SyntheticRun) -> None:
    with pytest.raises(UsageError, match="did you mean 'top'"):
        read_selection(run.layout, "tpo")
    with pytest.raises(UsageError, match="it has all-of-it, top; make one with"):
        known_selection_stats(run.layout, "zzz")
