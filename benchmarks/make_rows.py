"""A run of made-up scores at any size: what `coursepack score` leaves, without images or teacher.

    python -m benchmarks.make_rows RUN --rows 100000000 [--rows-per-part 1000000] [--seed 0]

Shards of 10,000 images; noise values over 1e-12 .. 2 nats, one row in a thousand at exactly 0;
1,000 classes, the largest some sixty times the smallest; random content hashes; one row in 200
failed. Beside scores: fact tables `clusters` (5,000 of them) and `duplicates_semantic` (a tenth are
copies of an earlier row). Rows are a function of seed and part alone. Members are empty: nothing
can be exported.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from selector.tables.facts import write_fact_table
from selector.tables.layout import RunLayout, part_name
from selector.tables.schema import column, fact_schema, members_schema, scores_schema
from selector.tables.write import write_part, write_table_list
from shards import atomic
from shards.manifest import PoolManifest, ShardEntry

ROWS_PER_SHARD = 10_000
NUM_CLASSES = 1_000
NUM_CLUSTERS = 5_000

CLUSTERS = fact_schema(
    "clusters",
    [column("cluster", pa.int32(), "made up"), column("distance", pa.float32(), "made up")],
)
DUPLICATES = fact_schema(
    "duplicates_semantic",
    [column("duplicate_of", pa.int64(), "made up"), column("similarity", pa.float32(), "made up")],
)


def make_run(root: str, *, rows: int, rows_per_part: int, seed: int = 0, threads: int = 2) -> None:
    """Write the run; a part holds whole shards, or a piece of one if it is smaller than a shard."""
    layout = RunLayout(root)
    parts = [(first, min(rows_per_part, rows - first)) for first in range(0, rows, rows_per_part)]

    def write(part: tuple[int, int]) -> str:
        return _write_part(layout, *part, seed=seed)

    with ThreadPoolExecutor(threads) as pool:
        names = list(pool.map(write, parts))
    write_pool(layout, -(-rows // ROWS_PER_SHARD))
    write_table_list(layout, "scores", map(layout.scores_part, names))
    write_table_list(layout, "members", map(layout.members_part, names))
    for kind in ("clusters", "duplicates_semantic"):
        uris = [layout.facts_part(kind, "0123456789ab", name) for name in names]
        write_fact_table(layout, kind, "0123456789ab", uris, about={"made": "up"})


def _write_part(layout: RunLayout, first: int, size: int, *, seed: int) -> str:
    rng = np.random.default_rng([seed, first])
    number = np.arange(first, first + size)
    shard, index = number // ROWS_PER_SHARD, number % ROWS_PER_SHARD
    row_ids = shard << 32 | index
    name = part_name(int(shard[0]), int(index[0]))
    write_part(layout.scores_part(name), made_up_scores(rng, shard, index, row_ids))
    write_part(layout.members_part(name), members_schema().empty_table())
    clusters = pa.table(
        {
            "row_id": row_ids,
            "cluster": rng.integers(0, NUM_CLUSTERS, size, np.int32),
            "distance": rng.random(size, np.float32),
        },
        schema=CLUSTERS,
    )
    write_part(layout.facts_part("clusters", "0123456789ab", name), clusters)
    kept = rng.random(size) >= 0.1
    original = rng.integers(0, first + size, size)
    original = original // ROWS_PER_SHARD << 32 | original % ROWS_PER_SHARD
    similarity = np.where(kept, np.nan, 0.95 + 0.05 * rng.random(size)).astype(np.float32)
    duplicates = pa.table(
        {
            "row_id": row_ids,
            "duplicate_of": pa.array(original, mask=kept),
            "similarity": pa.array(similarity, mask=kept),
        },
        schema=DUPLICATES,
    )
    write_part(layout.facts_part("duplicates_semantic", "0123456789ab", name), duplicates)
    return name


def made_up_scores(
    rng: np.random.Generator, shard: np.ndarray, index: np.ndarray, row_ids: np.ndarray
) -> pa.Table:
    """Scores of these rows, all arrays (N,), in order."""
    size = len(index)
    failed = rng.random(size) < 0.005
    noise = np.exp(rng.uniform(np.log(1e-12), np.log(2.0), size))
    noise[rng.random(size) < 0.001] = 0.0
    label = (NUM_CLASSES * rng.random(size) ** 2).astype(np.int32)  # low classes more often
    max_prob = np.exp(-noise)

    def scored(values: np.ndarray, data_type: pa.DataType) -> pa.Array:
        return pa.array(values, mask=failed).cast(data_type)

    names = [f"shard-{number:06d}.tar" for number in range(int(shard[0]), int(shard[-1]) + 1)]
    columns = {
        "row_id": pa.array(row_ids),
        "shard_id": pa.array(shard.astype(np.int32)),
        "index": pa.array(index.astype(np.int32)),
        "key": pa.array(np.char.mod("%012x", row_ids)),
        "shard": pa.DictionaryArray.from_arrays(
            pa.array((shard - shard[0]).astype(np.int32)), pa.array(names)
        ),
        "status": pa.DictionaryArray.from_arrays(
            pa.array(failed.astype(np.int32)), pa.array(["ok", "undecodable"])
        ),
        "error": pa.array(["not an image"]).take(pa.array(np.zeros(size, np.int32), mask=~failed)),
        "width": scored(rng.integers(16, 512, size, np.int32), pa.int32()),
        "height": scored(rng.integers(16, 512, size, np.int32), pa.int32()),
        "num_bytes": pa.array(rng.integers(2_000, 200_000, size)),
        "content_hash": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), size, [None, pa.py_buffer(rng.bytes(16 * size))]
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


def write_pool(layout: RunLayout, num_shards: int) -> None:
    """A pool manifest and class names."""
    entries = tuple(
        ShardEntry(i, f"/pool/shard-{i:06d}.tar", 10**9, f"{10**9}-1") for i in range(num_shards)
    )
    sink = io.BytesIO()
    pq.write_table(PoolManifest(entries).to_table(), sink)
    atomic.write_bytes(layout.pool, sink.getvalue())
    names = [f"class {i}" for i in range(NUM_CLASSES)]
    atomic.write_bytes(layout.provenance, json.dumps({"class_names": names}).encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--rows-per-part", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begun = time.monotonic()
    make_run(options.run, rows=options.rows, rows_per_part=options.rows_per_part, seed=options.seed)
    print(json.dumps({"rows": options.rows, "seconds": round(time.monotonic() - begun, 1)}))


if __name__ == "__main__":
    main()
