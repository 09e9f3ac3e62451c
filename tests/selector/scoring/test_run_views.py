from __future__ import annotations

from pathlib import Path

import pytest

from selector.scoring.run_views import views_of_run
from selector.tables.layout import RunLayout
from shards.errors import StorageError


def test_a_run_says_its_views(tmp_path: Path) -> None:
    layout = RunLayout(str(tmp_path))
    assert views_of_run(layout) == "one", "there is no config"
    (tmp_path / "config.yaml").write_text("semantic: {teacher: x}\nexecution: {}\n")
    assert views_of_run(layout) == "one"
    (tmp_path / "config.yaml").write_text("semantic: {views: flip}\nexecution: {}\n")
    assert views_of_run(layout) == "flip"


@pytest.mark.parametrize("content", ["semantic: {views: 9}\n", "[", "x: 1\n", "3\n"])
def test_a_damaged_config_is_told_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(StorageError, match=r"config\.yaml does not say how the run was scored"):
        views_of_run(RunLayout(str(tmp_path)))
