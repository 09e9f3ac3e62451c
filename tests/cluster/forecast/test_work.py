"""What is to be done is found out without doing any of it; large shards count in pieces."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.forecast.work import find_work, part_sizes
from cluster.ledger import Ledger, Marker, short_hash
from cluster.pool_manifest import write_manifest
from cluster.run_lock import RunLock
from cluster.runs import open_run
from selector.tables.layout import RunLayout, part_name
from shards.errors import UsageError
from shards.file_info import FileInfo
from shards.manifest import PoolManifest

LISTING = [FileInfo(f"/pool/{n}.tar", size, f"{size}-1") for n, size in enumerate((100, 5000, 30))]
SEMANTIC = {"teacher": "he/resnet8"}


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    """A run in which shard 0 is done."""
    layout = RunLayout(str(tmp_path / "run"))
    with RunLock(layout.lock):
        open_run(layout.root, semantic=SEMANTIC, execution={"batch_size": 8}, facts={})
    write_manifest(layout, PoolManifest().extend(LISTING)[0])
    marker = Marker(part_name(0, 0), "a" * 12, short_hash(LISTING[0].etag))
    Ledger(layout.ledger_dir).write(marker)
    return layout


def test_of_a_new_run_everything_with_large_shards_in_pieces(tmp_path: Path) -> None:
    new = RunLayout(str(tmp_path / "new"))
    for place in (None, new):
        work, stored = find_work(place, LISTING, SEMANTIC)
        assert stored == {}
        assert len(work.state.todo) == 3
        assert sorted(part_sizes(work, split_bytes=0, batch_size=8)) == [30, 100, 5000]
        split = part_sizes(work, split_bytes=1000, batch_size=8)
        assert sorted(split) == [30, 100, *[1000] * 5]
    assert not Path(new.root).exists()


def test_of_a_run_that_was_begun_what_is_left(layout: RunLayout) -> None:
    before = sorted(Path(layout.root).rglob("*"))
    work, stored = find_work(layout, LISTING, SEMANTIC)
    assert [entry.shard_id for entry in work.state.todo] == [1, 2]
    assert stored == {"batch_size": 8}
    assert part_sizes(work, split_bytes=0, batch_size=8) == [5000, 30]
    assert sorted(Path(layout.root).rglob("*")) == before


def test_another_configuration_is_refused_with_the_difference(layout: RunLayout) -> None:
    with pytest.raises(UsageError, match='teacher: "he/resnet8" -> "lenet/5"'):
        find_work(layout, LISTING, {"teacher": "lenet/5"})
