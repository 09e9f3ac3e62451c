from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards import storage
from shards.errors import UsageError
from shards.file_info import FileInfo
from shards.manifest import PoolManifest, ShardEntry

infos = st.builds(
    FileInfo,
    uri=st.integers(0, 30).map("/pool/{:03d}.tar".format),
    num_bytes=st.integers(0, 2**40),
    etag=st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
listings = st.lists(infos, max_size=10, unique_by=lambda info: info.uri)


@settings(deadline=None)
@given(st.lists(listings, max_size=4))
def test_shards_are_only_ever_appended(rounds: list[list[FileInfo]]) -> None:
    manifest = PoolManifest()
    for listing in rounds:
        longer, new = manifest.extend(listing)
        assert longer.entries == manifest.entries + new
        assert {info.uri for info in listing} <= {entry.uri for entry in longer.entries}
        assert longer.extend(listing)[1] == ()
        manifest = longer
    assert [entry.shard_id for entry in manifest.entries] == list(range(len(manifest.entries)))


@settings(deadline=None)
@given(listings)
def test_table_and_back(listing: list[FileInfo]) -> None:
    manifest, _ = PoolManifest().extend(listing)
    assert PoolManifest.from_table(manifest.to_table()) == manifest


@settings(deadline=None)
@given(listings, listings)
def test_diff_accounts_for_every_file(then: list[FileInfo], now: list[FileInfo]) -> None:
    manifest, _ = PoolManifest().extend(then)
    diff = manifest.diff(now)
    uris_then, uris_now = {i.uri for i in then}, {i.uri for i in now}
    assert {entry.uri for entry in diff.missing} == uris_then - uris_now
    assert {info.uri for info in diff.new} == uris_now - uris_then
    same = set(then) & set(now)
    assert len(diff.changed) == len(uris_then & uris_now) - len(same)
    assert manifest.diff(then).changed == ()


def test_a_rewritten_shard_is_changed(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        (tmp_path / name).write_bytes(b"x" * 1024)
    manifest, new = PoolManifest().extend(storage.expand([str(tmp_path)]))
    assert [entry.shard_id for entry in new] == [0, 1]
    os.utime(tmp_path / "a.tar", ns=(0, 12345))
    (tmp_path / "b.tar").unlink()
    diff = manifest.diff(storage.expand([str(tmp_path)]))
    assert [entry.shard_id for entry, _ in diff.changed] == [0]
    assert [entry.shard_id for entry in diff.missing] == [1]


def test_parquet_file_and_its_version(tmp_path: Path) -> None:
    manifest, _ = PoolManifest().extend([FileInfo("s3://b/a.tar", 10, "10-5")])
    path = tmp_path / "pool.parquet"
    pq.write_table(manifest.to_table(), path)
    assert PoolManifest.from_table(pq.read_table(path)) == manifest

    table = manifest.to_table()
    newer = table.replace_schema_metadata({b"coursepack.pool.version": b"99"})
    with pytest.raises(UsageError, match="version 99, this program reads 1"):
        PoolManifest.from_table(newer)
    for other in (table.replace_schema_metadata(None), pa.table({"x": [1]})):
        with pytest.raises(UsageError, match="no pool manifest"):
            PoolManifest.from_table(other)


def test_positions_are_ids() -> None:
    entry = ShardEntry(0, "/a.tar", 1, "e")
    with pytest.raises(ValueError, match="stands at position"):
        PoolManifest((dataclasses.replace(entry, shard_id=1),))
    with pytest.raises(ValueError, match="listed twice"):
        PoolManifest((entry, dataclasses.replace(entry, shard_id=1)))
