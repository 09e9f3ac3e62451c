"""A small run directory with made-up scores: what `coursepack score` leaves, without a teacher."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from selector.tables.layout import RunLayout, part_name
from selector.tables.schema import column, fact_schema, members_schema, row_id, scores_schema
from selector.tables.write import write_part, write_table_list
from shards import atomic
from shards.manifest import PoolManifest, ShardEntry

CLASS_NAMES = ("airplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class SyntheticRun:
    """Where the run is, and its scores table as written: rows in order of row_id."""

    layout: RunLayout
    scores: pa.Table

    @property
    def root(self) -> str:
        return self.layout.root


def write_run(
    root: str | Path,
    *,
    num_shards: int = 3,
    per_shard: int = 100,
    class_names: Sequence[str] | None = CLASS_NAMES,
    failed_every: int = 20,
    seed: int = 0,
) -> SyntheticRun:
    """Write pool.parquet, scores, members, their table lists and provenance.json.

    Image i of shard s has the key `s00001/img000012`, one .jpg member (and a .json on every third
    image), a noise value between 1e-8 and log C, and a pseudo-label that is low more often than
    high. Every `failed_every`-th image is undecodable (0: none is). Rows 5 and 6 of each shard
    tie in every score. The shards themselves do not exist.
    """
    layout = RunLayout(str(root))
    rng = np.random.default_rng(seed)
    num_classes = len(class_names) if class_names else 10
    entries = tuple(
        ShardEntry(i, f"/pool/shard-{i:06d}.tar", 1000 * per_shard, f"{1000 * per_shard}-1")
        for i in range(num_shards)
    )
    pool = pa.BufferOutputStream()
    pq.write_table(PoolManifest(entries).to_table(), pool)
    atomic.write_bytes(layout.pool, pool.getvalue().to_pybytes())
    provenance = {"class_names": list(class_names) if class_names else None}
    atomic.write_bytes(layout.provenance, json.dumps(provenance).encode())
    tables, scores_parts, members_parts = [], [], []
    for entry in entries:
        table = _scores(entry, per_shard, num_classes, failed_every, rng)
        name = part_name(entry.shard_id, 0)
        write_part(layout.scores_part(name), table)
        write_part(layout.members_part(name), _members(entry.shard_id, table))
        tables.append(table)
        scores_parts.append(layout.scores_part(name))
        members_parts.append(layout.members_part(name))
    write_table_list(layout, "scores", scores_parts)
    write_table_list(layout, "members", members_parts)
    return SyntheticRun(layout, pa.concat_tables(tables).unify_dictionaries())


def _scores(
    entry: ShardEntry, size: int, num_classes: int, failed_every: int, rng: np.random.Generator
) -> pa.Table:
    index = np.arange(size)
    noise = np.exp(rng.uniform(np.log(1e-8), np.log(np.log(num_classes)), size))
    noise[6:7] = noise[5:6]
    max_prob = np.exp(-noise)
    label = np.minimum(rng.geometric(0.35, size) - 1, num_classes - 1)
    failed = (index % failed_every == failed_every - 1) if failed_every else index < 0
    keys = [f"s{entry.shard_id:05d}/img{i:06d}" for i in index]

    def scored(values: np.ndarray, data_type: pa.DataType) -> pa.Array:
        return pa.array(values, mask=failed).cast(data_type)

    columns = {
        "row_id": pa.array(row_id(entry.shard_id, 0) + index),
        "shard_id": pa.array(np.full(size, entry.shard_id, dtype=np.int32)),
        "index": pa.array(index.astype(np.int32)),
        "key": pa.array(keys),
        "shard": pa.array([entry.uri.rpartition("/")[2]] * size),
        "status": pa.array(["undecodable" if bad else "ok" for bad in failed]),
        "error": pa.array(["not an image" if bad else None for bad in failed], pa.string()),
        "width": scored(rng.integers(16, 512, size), pa.int32()),
        "height": scored(rng.integers(16, 512, size), pa.int32()),
        "num_bytes": pa.array(rng.integers(500, 5000, size)),
        "content_hash": pa.array(
            [hashlib.md5(key.encode()).digest() for key in keys], pa.binary(16)
        ),
        "phash": scored(rng.integers(0, 2**63, size).astype(np.uint64), pa.uint64()),
        "pseudo_label": scored(label, pa.int32()),
        "max_prob": scored(max_prob, pa.float32()),
        "noise_value": scored(noise, pa.float32()),
        "entropy": scored(noise * 1.5, pa.float32()),
        "margin": scored(2 * max_prob - 1, pa.float32()),
    }
    schema = scores_schema()
    return pa.table([columns[f.name].cast(f.type) for f in schema], schema=schema)


def _members(shard_id: int, scores: pa.Table) -> pa.Table:
    rows: list[tuple[int, str, str, int, int]] = []
    offset = 512
    for index, (key, size) in enumerate(
        zip(scores["key"].to_pylist(), scores["num_bytes"].to_pylist(), strict=True)
    ):
        files = [("jpg", size)] + ([("json", 40)] if index % 3 == 0 else [])
        for extension, length in files:
            rows.append((row_id(shard_id, index), f"{key}.{extension}", extension, offset, length))
            offset += 512 + -(-length // 512) * 512
    schema = members_schema()
    columns = zip(*rows, strict=True) if rows else [[] for _ in schema]
    arrays = [
        pa.array(list(values)).cast(f.type) for values, f in zip(columns, schema, strict=True)
    ]
    return pa.table(arrays, schema=schema)


def write_facts(run: SyntheticRun, kind: str, columns: Mapping[str, pa.Array]) -> None:
    """Add a fact table of one part; `columns` must have row_id."""
    fields = [column(name, values.type, "made up") for name, values in columns.items()]
    schema = fact_schema(kind, [field for field in fields if field.name != "row_id"])
    part = run.layout.facts_part(kind, "0123abcd", part_name(0, 0))
    write_part(part, pa.table([columns[name] for name in schema.names], schema=schema))
    write_table_list(run.layout, kind, [part])
