"""export_rows: which images other tools get, and their bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from selector.report import export_rows as module
from selector.report.export_rows import export_images, export_rows
from selector.report.source import open_source
from selector.scores.hashes import content_hash
from selector.selection import select
from selector.tables.layout import RunLayout
from selector.tables.schema import row_id
from tests.selector.report.real_run import image_bytes, write_real_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunLayout:
    layout = write_real_run(
        tmp_path_factory.mktemp("real"), num_plain=1, num_compressed=1, per_shard=30
    )
    select(layout.root, {"name": "top", "steps": [{"take": {"n": 10, "order": "noise_value"}}]})
    return layout


def test_without_a_map_a_sample_with_the_selection(
    run: RunLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 20)
    with open_source(run.root, "top", compare="top") as source:
        rows = export_rows(source)
    assert rows.num_rows == 20
    assert sum(rows["selected"].to_pylist()) == 10
    assert rows["compared"].to_pylist() == rows["selected"].to_pylist()
    assert rows["row_id"].to_pylist() == sorted(rows["row_id"].to_pylist())
    assert "x" not in rows.column_names


def test_images_come_as_they_are_or_not_at_all(run: RunLayout) -> None:
    with open_source(run.root, "top") as source:
        rows = export_rows(source)
        found = dict(export_images(source, rows))
    assert len(found) == rows.num_rows == 58
    assert found[row_id(1, 3)] == image_bytes(1, 3)
    hashes = dict(zip(rows["row_id"].to_pylist(), rows["content_hash"].to_pylist(), strict=True))
    assert all(data and content_hash(data) == hashes[row] for row, data in found.items())


def test_a_shard_that_is_gone_costs_its_own_images(tmp_path: Path) -> None:
    layout = write_real_run(tmp_path, per_shard=20)
    select(layout.root, {"name": "top", "steps": [{"take": {"n": 10, "order": "noise_value"}}]})
    (tmp_path / "pool" / "part-001.tar").unlink()
    with open_source(layout.root, "top") as source:
        found = dict(export_images(source, export_rows(source)))
    assert [data is None for data in found.values()] == [False] * 19 + [True] * 19
