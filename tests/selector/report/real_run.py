"""A run over shards that exist: images of one colour each, so that a thumbnail tells its image."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from selector.scores.hashes import content_hash
from selector.tables.layout import RunLayout, part_name
from selector.tables.schema import members_schema, row_id, scores_schema
from selector.tables.write import write_part, write_table_list
from shards import atomic, storage
from shards.index import build_index
from shards.manifest import PoolManifest, ShardEntry
from tests.support.tars import samples_tar

HOSTILE = "<script>alert(1)</script>"
CLASS_NAMES = ("cat & dog", HOSTILE, "ship")


def colour_of(shard_id: int, index: int) -> tuple[int, int, int]:
    """The colour of one image; no two images share it."""
    return (10 + 60 * shard_id, 5 + 2 * index, 200)


def image_bytes(shard_id: int, index: int, *, side: int = 12) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour_of(shard_id, index)).save(buffer, "PNG")
    return buffer.getvalue()


def write_real_run(
    folder: Path,
    *,
    num_plain: int = 2,
    num_compressed: int = 0,
    per_shard: int = 60,
    class_names: Sequence[str] | None = CLASS_NAMES,
) -> RunLayout:
    """Shards below folder/pool and a run in folder/run that scored them.

    The first key of every shard is hostile; the last image is one that failed. Noise values fall
    from image to image within a shard; pseudo-labels go round.
    """
    layout = RunLayout(str(folder / "run"))
    (folder / "pool").mkdir(parents=True)
    entries: list[ShardEntry] = []
    scores_parts: list[str] = []
    members_parts: list[str] = []
    for shard_id in range(num_plain + num_compressed):
        entry = _write_shard(folder / "pool", shard_id, per_shard, shard_id >= num_plain)
        entries.append(entry)
        name = part_name(shard_id, 0)
        scores_parts.append(layout.scores_part(name))
        members_parts.append(layout.members_part(name))
        write_part(scores_parts[-1], _scores(entry, per_shard))
        write_part(members_parts[-1], _members(entry))
    write_table_list(layout, "scores", scores_parts)
    write_table_list(layout, "members", members_parts)
    pool = pa.BufferOutputStream()
    pq.write_table(PoolManifest(tuple(entries)).to_table(), pool)
    atomic.write_bytes(layout.pool, pool.getvalue().to_pybytes())
    provenance = {
        "class_names": list(class_names) if class_names else None,
        "teacher": {"name": f"lenet/{HOSTILE}", "fingerprint": "f00d" * 16},
        "semantic_hash": "0123456789ab",
        "calls": [{"at": "2026-01-02T03:04:05+00:00", "versions": {"coursepack": "0.1.0"}}],
    }
    atomic.write_bytes(layout.provenance, json.dumps(provenance).encode())
    config = {"semantic": {"image_ext": ["jpg", "png"]}, "execution": {}}
    atomic.write_bytes(layout.config, yaml.safe_dump(config).encode())
    return layout


def key_of(index: int) -> str:
    return HOSTILE.replace("/", "_") if index == 0 else f"img{index:04d}"


def _write_shard(folder: Path, shard_id: int, per_shard: int, compressed: bool) -> ShardEntry:
    tar = samples_tar(
        {
            key_of(index): {"json": b"{}", "png": _stored(shard_id, index, per_shard)}
            for index in range(per_shard)
        }
    )
    path = folder / f"part-{shard_id:03d}.tar{'.gz' * compressed}"
    path.write_bytes(gzip.compress(tar, mtime=0) if compressed else tar)
    info = storage.stat(str(path))
    return ShardEntry(shard_id, info.uri, info.num_bytes, info.etag)


def _stored(shard_id: int, index: int, per_shard: int) -> bytes:
    failed = index == per_shard - 1
    return b"no picture" if failed else image_bytes(shard_id, index)


def _members(entry: ShardEntry) -> pa.Table:
    rows = [
        (row_id(entry.shard_id, sample.index), m.name, m.extension, m.offset, m.size)
        for sample in build_index(entry.uri).entries
        for m in sample.members
    ]
    schema = members_schema()
    columns = [
        pa.array(list(values)).cast(field.type)
        for values, field in zip(zip(*rows, strict=True), schema, strict=True)
    ]
    return pa.table(columns, schema=schema)


def _scores(entry: ShardEntry, per_shard: int) -> pa.Table:
    index = np.arange(per_shard)
    failed = index == per_shard - 1
    noise = 10.0 ** (-8 * (index + 1) / per_shard) * (1 + entry.shard_id / 10)
    keys = [key_of(i) for i in index]

    def scored(values: np.ndarray) -> pa.Array:
        return pa.array(values, mask=failed)

    columns = {
        "row_id": pa.array(row_id(entry.shard_id, 0) + index),
        "shard_id": pa.array(np.full(per_shard, entry.shard_id)),
        "index": pa.array(index),
        "key": pa.array(keys),
        "shard": pa.array([storage.name(entry.uri)] * per_shard),
        "status": pa.array(["undecodable" if bad else "ok" for bad in failed]),
        "error": pa.array([f"not an image {HOSTILE}" if bad else None for bad in failed]),
        "width": scored(np.full(per_shard, 12)),
        "height": scored(np.full(per_shard, 12)),
        "num_bytes": pa.array(np.full(per_shard, 100)),
        "content_hash": pa.array(
            [content_hash(_stored(entry.shard_id, i, per_shard)) for i in index], pa.binary(16)
        ),
        "phash": scored(index.astype(np.uint64)),
        "pseudo_label": scored(index % 3),
        "max_prob": scored(np.exp(-noise)),
        "noise_value": scored(noise),
        "entropy": scored(noise),
        "margin": scored(np.exp(-noise)),
    }
    schema = scores_schema()
    return pa.table([columns[field.name].cast(field.type) for field in schema], schema=schema)
