from pathlib import Path

import pytest

from selector.tables.layout import RunLayout, parse_table_list, part_name
from shards.errors import UsageError


def test_paths_of_a_local_run(tmp_path: Path) -> None:
    layout = RunLayout(str(tmp_path) + "/")
    assert layout.root == str(tmp_path)
    assert layout.scores_part(part_name(3, 4096)) == f"{tmp_path}/scores/00000003-00004096.parquet"
    assert layout.members_part("p") == f"{tmp_path}/members/p.parquet"
    assert layout.facts_part("pu", "ab12", "p") == f"{tmp_path}/facts/pu/ab12/p.parquet"
    assert layout.table_list("scores", 7) == f"{tmp_path}/tables/scores-7.json"
    assert layout.pool == f"{tmp_path}/pool.parquet"
    assert layout.selection_dir("top-600k") == f"{tmp_path}/selections/top-600k"


def test_paths_of_a_remote_run() -> None:
    layout = RunLayout("s3://bucket/runs/1")
    assert layout.lock == "s3://bucket/runs/1/lock"
    assert layout.relative("s3://bucket/runs/1/scores/a.parquet") == "scores/a.parquet"


def test_relative_refuses_what_lies_outside(tmp_path: Path) -> None:
    layout = RunLayout(str(tmp_path / "run"))
    with pytest.raises(ValueError, match="outside the run"):
        layout.relative(str(tmp_path / "run2" / "a.parquet"))


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "x" * 65, "ä", "a\n"])
def test_selection_names_that_are_no_directory_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="choose another --name"):
        RunLayout(str(tmp_path)).selection_dir(name)


@pytest.mark.parametrize("kind", ["", "a-b", "A", "../x", "a.b"])
def test_kinds_must_serve_as_view_names(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ValueError, match="table kind"):
        RunLayout(str(tmp_path)).table_list(kind, 1)


def test_table_list_names_are_read_back() -> None:
    assert parse_table_list("scores-12.json") == ("scores", 12)
    assert parse_table_list("pu_head-1.json") == ("pu_head", 1)
    for other in ("scores.json", "scores-0.json", "scores-x.json", "scores-1.json.tmp"):
        assert parse_table_list(other) is None
