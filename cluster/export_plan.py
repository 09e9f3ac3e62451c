"""Where every selected sample lies and where it goes: the plan that export tasks read.

The plan of each output shard is a small Parquet file, so that a task carries a path, not rows.
The order of the output is a seeded permutation of the selection: it depends on the selection and
the seed alone.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cluster.pool_manifest import read_manifest
from selector.tables.layout import RunLayout
from selector.tables.read import table_parts
from selector.tables.run_files import read_parquet
from selector.tables.schema import split_row_id
from shards import atomic, storage
from shards.errors import CoursepackError, UsageError
from shards.sample import Member, SampleEntry

_MEMBER = pa.struct(
    [
        ("name", pa.string()),
        ("extension", pa.string()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
    ]
)
PLAN_SCHEMA = pa.schema(
    [
        ("row_id", pa.int64()),
        ("weight", pa.float32()),
        ("source", pa.string()),
        ("key", pa.string()),
        ("output_key", pa.string()),
        ("content_hash", pa.binary(16)),
        ("num_bytes", pa.int64()),
        ("members", pa.list_(_MEMBER)),
    ]
)


def locate(layout: RunLayout, selection: pa.Table) -> Iterator[pa.Table]:
    """One table of `PLAN_SCHEMA` (without output keys) per score part that has selected rows.

    Raises:
        CoursepackError: a selected row is in no part: the selection is not of this run's tables.
        UsageError: a selected row has no image.
    """
    manifest = read_manifest(layout)
    wanted = selection["row_id"].to_numpy()
    shard_ids = set(np.unique(split_row_id(wanted)[0]).tolist())
    weights = selection["weight"].to_numpy()
    found = 0
    for scores_uri, members_uri in zip(
        table_parts(layout, "scores"), table_parts(layout, "members"), strict=True
    ):
        if int(storage.name(scores_uri)[:8]) not in shard_ids:
            continue
        scores = _read(scores_uri, ["row_id", "key", "content_hash", "num_bytes"])
        rows = scores["row_id"].to_numpy()
        if not len(rows):
            continue
        low, high = np.searchsorted(wanted, [rows[0], rows[-1] + 1])
        if low == high:
            continue
        mine = wanted[low:high]
        scores = scores.filter(pc.is_in(scores["row_id"], value_set=pa.array(mine)))
        found += len(scores)
        if scores["content_hash"].null_count:
            raise UsageError(
                f"{scores['content_hash'].null_count:,} of the selected rows of {scores_uri} have "
                "no image to export; leave `status: any` out of the recipe's source"
            )
        shard_id, _ = split_row_id(int(rows[0]))
        yield pa.table(
            {
                "row_id": scores["row_id"],
                "weight": weights[low:high][np.searchsorted(mine, scores["row_id"].to_numpy())],
                "source": [manifest.entries[shard_id].uri] * len(scores),
                "key": scores["key"],
                "output_key": scores["key"],
                "content_hash": scores["content_hash"],
                "num_bytes": scores["num_bytes"],
                "members": _member_lists(members_uri, scores["row_id"]),
            },
            schema=PLAN_SCHEMA,
        )
    if found != len(wanted):
        raise CoursepackError(
            f"{len(wanted) - found:,} of {len(wanted):,} selected rows are in no table of "
            f"{layout.root}; select again (`coursepack select ... --overwrite`)"
        )


def unique_keys(keys: Sequence[str], row_ids: Sequence[int]) -> list[str]:
    """Keys under which samples of many shards can live together.

    A key that occurs once stays as it is; one that several samples share gets `-<row_id in hex>`
    appended, for all of them, so that no two samples melt into one.
    """
    counts = Counter(keys)
    taken = set(counts)
    unique: list[str] = []
    for key, row_id in zip(keys, row_ids, strict=True):
        if counts[key] > 1:
            key = f"{key}-{row_id:x}"
            while key in taken:
                key += "x"
            taken.add(key)
        unique.append(key)
    return unique


def shuffled(num_rows: int, seed: int) -> npt.NDArray[np.int64]:
    """The output order: a permutation of the sorted selection, from the seed alone."""
    return np.random.default_rng(seed).permutation(num_rows).astype(np.int64)


def write_plan(uri: str, rows: pa.Table) -> None:
    """Store the plan of one output shard."""
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    atomic.write_bytes(uri, buffer.getvalue())


def read_plan(uri: str) -> pa.Table:
    """The plan of one output shard, in output order."""
    return pq.read_table(io.BytesIO(storage.read_bytes(uri)))


def sample_entry(row: dict[str, object]) -> SampleEntry:
    """The place of a plan row's sample in its source shard."""
    row_id, key, members = row["row_id"], row["key"], row["members"]
    assert isinstance(row_id, int)
    assert isinstance(key, str)
    assert isinstance(members, list)
    _, index = split_row_id(row_id)
    return SampleEntry(index, key, tuple(Member(**member) for member in members))


def _member_lists(uri: str, row_ids: pa.ChunkedArray) -> pa.Array:
    """For each row its members, in the order of the tar."""
    members = _read(uri, ["row_id", "name", "extension", "offset", "size"])
    members = members.filter(pc.is_in(members["row_id"], value_set=row_ids.combine_chunks()))
    counts = np.bincount(
        np.searchsorted(row_ids.to_numpy(), members["row_id"].to_numpy()), minlength=len(row_ids)
    )
    structs = pa.StructArray.from_arrays(
        [
            members["name"].combine_chunks(),
            members["extension"].combine_chunks().cast(pa.string()),
            members["offset"].combine_chunks(),
            members["size"].combine_chunks(),
        ],
        fields=list(_MEMBER),
    )
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), structs)


def _read(uri: str, columns: list[str]) -> pa.Table:
    cure = "remove it and its marker in the ledger and run the same score command again"
    return read_parquet(uri, columns, cure=cure)
