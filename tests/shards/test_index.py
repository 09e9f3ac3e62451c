from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.index import MEMBERS_SCHEMA, build_index, entries_from_table, members_table
from shards.reader import open_shard
from shards.sample import Member, SampleEntry
from tests.support.tars import BLOCK, header_offsets, samples_tar, tar_bytes, write_tar

POOL = {f"{i:03d}": {"jpg": bytes([i]) * 900, "cls": b"%d" % i} for i in range(5)}


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_index_is_what_the_reader_sees(tmp_path: Path, name: str) -> None:
    uri = write_tar(tmp_path / name, samples_tar(POOL))
    index = build_index(uri)
    with open_shard(uri) as reader:
        assert list(index.entries) == [sample.entry for sample in reader.samples()]
    assert index.problems == ()
    assert index.errors == {}


def test_offsets_point_at_the_data(tmp_path: Path) -> None:
    tar = samples_tar(POOL, format="pax")
    for entry in build_index(write_tar(tmp_path / "a.tar", tar)).entries:
        for member in entry.members:
            data = tar[member.offset : member.offset + member.size]
            assert data == POOL[entry.key][member.extension]


def test_samples_that_must_not_be_used_are_marked(tmp_path: Path) -> None:
    tar = tar_bytes([("a.jpg", b"1"), ("../b.jpg", b"2"), ("c.jpg", b"3" * 2000)])
    cut = tar[: header_offsets(tar)[2] + BLOCK + 7]
    index = build_index(write_tar(tmp_path / "a.tar", cut))
    assert sorted(index.errors) == [1, 2]
    assert [p.kind for p in index.problems] == ["unsafe_name", "truncated"]


names = st.text(st.characters(exclude_characters="./\0", exclude_categories=["Cs"]), min_size=1)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(names, st.lists(st.sampled_from(["jpg", "seg.png", "cls", ""]), min_size=1,
                                  unique=True)),
        max_size=8,
    ),
    st.integers(0, 2**31 - 1),
)  # fmt: skip
def test_table_and_back(samples: list[tuple[str, list[str]]], shard_id: int) -> None:
    entries = [
        SampleEntry(
            index,
            key,
            tuple(
                Member(f"{key}.{ext}" if ext else key, ext, 512 * (10 * index + i), i)
                for i, ext in enumerate(extensions)
            ),
        )
        for index, (key, extensions) in enumerate(samples)
    ]
    table = members_table(entries, shard_id)
    assert table.schema.equals(MEMBERS_SCHEMA)
    assert entries_from_table(table) == entries
    assert entries_from_table(table.drop_columns("key")) == entries
    assert all(row_id >> 32 == shard_id for row_id in table["row_id"].to_pylist())


def test_table_survives_parquet(tmp_path: Path) -> None:
    entries = build_index(write_tar(tmp_path / "a.tar", samples_tar(POOL))).entries
    pq.write_table(members_table(entries, 7), tmp_path / "m.parquet")
    table = pq.read_table(tmp_path / "m.parquet")
    assert entries_from_table(table) == list(entries)
    assert entries_from_table(table.filter(pa.compute.field("row_id") == (7 << 32 | 3))) == [
        entries[3]
    ]


def test_shard_ids_are_bounded() -> None:
    with pytest.raises(ValueError, match="shard_id"):
        members_table([], 1 << 31)
