"""The member index of a shard: where every member of every sample lies, as an Arrow table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from shards.reader import open_shard
from shards.sample import Member, Problem, SampleEntry, split_name

SHARD_BITS = 32
"""row_id = shard_id << SHARD_BITS | index of the sample in its shard."""

MEMBERS_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.int64(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("extension", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class ShardIndex:
    """All samples of a shard.

    Attributes:
        entries: one per sample, `entries[i].index == i`.
        problems: what was found on the way.
        errors: index -> why that sample must not be used (cut, or an unsafe member name).
    """

    entries: tuple[SampleEntry, ...]
    problems: tuple[Problem, ...]
    errors: dict[int, str] = field(default_factory=dict)


def build_index(uri: str) -> ShardIndex:
    """Walk a whole shard; a local .tar is not read but for its headers.

    Raises:
        ShardError, StorageError: as `ShardReader.samples`.
    """
    entries: list[SampleEntry] = []
    errors: dict[int, str] = {}
    with open_shard(uri) as reader:
        for sample in reader.samples():
            entries.append(sample.entry)
            if sample.error is not None:
                errors[sample.entry.index] = sample.error
        return ShardIndex(tuple(entries), tuple(reader.problems), errors)


def members_table(entries: Iterable[SampleEntry], shard_id: int) -> pa.Table:
    """One row per member, in order (see `MEMBERS_SCHEMA`); samples without members have none."""
    if not 0 <= shard_id < 1 << 31:
        raise ValueError(f"shard_id {shard_id}: expected 0 <= shard_id < 2**31")
    base = shard_id << SHARD_BITS
    rows = [(base | entry.index, entry.key, m) for entry in entries for m in entry.members]
    return pa.table(
        {
            "row_id": [row_id for row_id, _, _ in rows],
            "key": [key for _, key, _ in rows],
            "name": [member.name for _, _, member in rows],
            "extension": [member.extension for _, _, member in rows],
            "offset": [member.offset for _, _, member in rows],
            "size": [member.size for _, _, member in rows],
        },
        schema=MEMBERS_SCHEMA,
    )


def entries_from_table(table: pa.Table) -> list[SampleEntry]:
    """The inverse of `members_table` for the rows of one shard; the key column is not needed."""
    grouped: dict[int, list[Member]] = {}
    columns = [table[c].to_pylist() for c in ("row_id", "name", "extension", "offset", "size")]
    for row_id, name, extension, offset, size in zip(*columns, strict=True):
        grouped.setdefault(row_id, []).append(Member(name, extension, offset, size))
    mask = (1 << SHARD_BITS) - 1
    return [
        SampleEntry(row_id & mask, split_name(members[0].name)[0], tuple(members))
        for row_id, members in grouped.items()
    ]
