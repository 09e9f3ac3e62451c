from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.ledger import Marker, short_hash
from cluster.pool_manifest import check_markers, compare
from shards.errors import CoursepackError
from shards.file_info import FileInfo
from shards.manifest import PoolManifest

LISTING = [FileInfo(f"/pool/{name}.tar", 1000, f"etag-{name}") for name in "abc"]
MANIFEST, _ = PoolManifest().extend(LISTING)


def done(*shard_ids: int, damaged: bool = False) -> dict[str, Marker]:
    names = {number: f"{number:08d}-00000000" for number in shard_ids}
    return {
        name: Marker(
            name, short_hash("c"), short_hash(MANIFEST.entries[number].etag), damaged=damaged
        )
        for number, name in names.items()
    }


def test_what_is_finished_is_kept_and_new_shards_are_added() -> None:
    state = compare(MANIFEST, [*LISTING, FileInfo("/pool/d.tar", 5, "new")], done(0, 2))
    assert [entry.shard_id for entry in state.todo] == [1, 3]
    assert len(state.manifest.entries) == 4


def test_a_changed_shard_is_refused_once_scored_and_taken_as_it_is_before() -> None:
    listing = [LISTING[0], replace(LISTING[1], num_bytes=900, etag="other"), LISTING[2]]
    with pytest.raises(CoursepackError, match="1,000 bytes when scored, 900 now"):
        compare(MANIFEST, listing, done(0, 1))
    state = compare(MANIFEST, listing, done(0))
    assert state.manifest.entries[1].etag == "other"
    assert [entry.num_bytes for entry in state.todo] == [900, 1000]


def test_a_damaged_shard_is_scored_again_once_mended() -> None:
    listing = [LISTING[0], replace(LISTING[1], num_bytes=2000, etag="whole"), LISTING[2]]
    state = compare(MANIFEST, listing, done(0, 2) | done(1, damaged=True))
    assert [entry.shard_id for entry in state.todo] == [1]
    assert [marker.part for marker in state.mended] == ["00000001-00000000"]
    assert compare(MANIFEST, LISTING, done(0, 2) | done(1, damaged=True)).todo == ()


def test_a_missing_shard_is_told_if_finished_and_tried_if_not() -> None:
    state = compare(MANIFEST, LISTING[:1], done(0, 1))
    assert [entry.shard_id for entry in state.missing] == [1]
    assert [entry.shard_id for entry in state.todo] == [2]


def test_a_ledger_of_another_pool_is_noticed() -> None:
    check_markers(MANIFEST, done(0, 1, 2))
    other = {"00000001-00000000": Marker("00000001-00000000", short_hash("c"), short_hash("x"))}
    with pytest.raises(CoursepackError, match=r"/pool/b\.tar"):
        check_markers(MANIFEST, other)
