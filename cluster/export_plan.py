"""Where every selected sample lies and where it goes: the plan that export tasks read.

The plan of each output shard is a small Parquet file, so that a task carries a path, not rows.
The order of the output is a seeded permutation of the selection: it depends on the selection and
the seed alone.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from cluster.pool_manifest import read_manifest
from selector.tables.layout import RunLayout
from selector.tables.lookup import find_rows
from selector.tables.read import dataset
from selector.tables.scan import Columns
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
    """One table of `PLAN_SCHEMA` (without output keys) per shard, or piece of one, that is in it.

    Raises:
        CoursepackError: a selected row is in no part: the selection is not of this run's tables.
        UsageError: a selected row has no image.
    """
    manifest = read_manifest(layout)
    wanted, weights = selection["row_id"].to_numpy(), selection["weight"].to_numpy()
    members = _columns(layout, "members", "name", "extension", "offset", "size")
    found = 0
    for part in find_rows(_columns(layout, "scores", "key", "content_hash", "num_bytes"), wanted):
        found += len(part)
        for scores in _by_shard(part):
            rows = scores["row_id"].to_numpy()
            entry = manifest.entries[split_row_id(int(rows[0]))[0]]
            if scores["content_hash"].null_count:
                raise UsageError(
                    f"{scores['content_hash'].null_count:,} of the selected rows of {entry.uri} "
                    "have no image to export; leave `status: any` out of the recipe's source"
                )
            yield pa.table(
                {
                    "row_id": scores["row_id"],
                    "weight": weights[np.searchsorted(wanted, rows)],
                    "source": [entry.uri] * len(scores),
                    "key": scores["key"],
                    "output_key": scores["key"],
                    "content_hash": scores["content_hash"],
                    "num_bytes": scores["num_bytes"],
                    "members": _member_lists(members, rows),
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


def _columns(layout: RunLayout, kind: str, *names: str) -> Columns:
    source = dataset(layout, kind)
    assert isinstance(source, ds.FileSystemDataset)
    return Columns(kind, source, names)


def _by_shard(rows: pa.Table) -> Iterator[pa.Table]:
    """A file may hold several shards."""
    shards = split_row_id(rows["row_id"].to_numpy())[0]
    cuts = [0, *(np.flatnonzero(shards[1:] != shards[:-1]) + 1).tolist(), len(rows)]
    for begin, end in pairwise(cuts):
        yield rows.slice(begin, end - begin)


def _member_lists(columns: Columns, row_ids: npt.NDArray[np.int64]) -> pa.Array:
    """For each row (N,) its members, in the order of the tar."""
    found = list(find_rows(columns, row_ids))
    members = pa.concat_tables(found) if found else columns.source.schema.empty_table()
    counts = np.bincount(
        np.searchsorted(row_ids, members["row_id"].to_numpy()), minlength=len(row_ids)
    )
    structs = pa.StructArray.from_arrays(
        [_one_array(members[field.name]).cast(field.type) for field in _MEMBER],
        fields=list(_MEMBER),
    )
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), structs)


def _one_array(values: pa.ChunkedArray) -> pa.Array:
    """Chunks may have dictionaries of their own."""
    values = values.unify_dictionaries() if pa.types.is_dictionary(values.type) else values
    return values.combine_chunks()
