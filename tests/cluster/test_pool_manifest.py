from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.ledger import Marker, short_hash
from cluster.pool_manifest import check_markers, compare, follow_moves
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


def test_only_what_is_listed_is_done_and_the_rest_is_told() -> None:
    state = compare(MANIFEST, LISTING[:1], done(0, 1))
    assert [entry.shard_id for entry in state.missing] == [1]
    assert [entry.shard_id for entry in state.left_out] == [2]
    assert state.todo == ()
    assert len(state.manifest.entries) == 3, "it keeps its id, should it come back"


def test_a_moved_shard_keeps_its_id(tmp_path: Path) -> None:
    here = FileInfo(str(tmp_path / "new" / "a.tar"), 1000, "etag-a")
    manifest, moved = follow_moves(MANIFEST, [here, *LISTING[1:]])
    assert [(entry.shard_id, entry.uri) for entry in moved] == [(0, here.uri)]
    assert compare(manifest, [here, *LISTING[1:]], done(0, 1, 2)).todo == ()


def test_a_copy_a_namesake_and_an_ambiguous_move_are_new_shards(tmp_path: Path) -> None:
    still_there = tmp_path / "a.tar"
    still_there.touch()
    manifest, _ = PoolManifest().extend([FileInfo(str(still_there), 1000, "etag-a")])
    copy = FileInfo("/elsewhere/a.tar", 1000, "etag-a")
    assert follow_moves(manifest, [copy]) == (manifest, ())
    assert follow_moves(MANIFEST, [replace(copy, etag="other")]) == (MANIFEST, ())
    twice = [copy, replace(copy, uri="/a/third/place/a.tar")]
    assert follow_moves(MANIFEST, twice) == (MANIFEST, ())


def test_a_ledger_of_another_pool_is_noticed() -> None:
    check_markers(MANIFEST, done(0, 1, 2))
    other = {"00000001-00000000": Marker("00000001-00000000", short_hash("c"), short_hash("x"))}
    with pytest.raises(CoursepackError, match=r"/pool/b\.tar"):
        check_markers(MANIFEST, other)
    with pytest.raises(CoursepackError, match=r"pool\.parquet lists 0 shards"):
        check_markers(PoolManifest(), done(0))
