"""Index and semantic duplicates of many vectors: time, memory, recall, and how they grow.

    python -m benchmarks.neighbors_scale --work DIR [--sizes 100000,1000000,10000000] [--threads 2]

Makes clustered 64-d vectors as the feature table of a run: clusters of unequal size whose members
have a cosine of about 0.8 to each other, and a fifth of the rows near-copies (cosine 0.96 to 1) of
others. Each size runs in a process of its own. Prints one JSON line a size: seconds to build the
index and to remove duplicates (epsilon 0.05, ranked by a random score), peak memory (resident, and
the anonymous part of it: the rest are pages of mapped files, which the system may drop), recall@10
against exact search over 500 vectors, and the share of duplicates found.
Processor seconds stand beside those of the clock, which other work slows.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa

from cluster.provenance import hardware, now, versions
from selector.neighbors.build import build_index, index_folder
from selector.neighbors.search import NeighborIndex, read_index
from selector.neighbors.semantic import find_semantic
from selector.neighbors.vector_file import VectorFile
from selector.neighbors.workers import workers
from selector.tables.facts import FactTable, write_fact_table
from selector.tables.layout import RunLayout, part_name
from selector.tables.schema import fact_schema, row_id
from selector.tables.vectors import encode_vectors, vector_column
from selector.tables.write import write_part

DIM = 64
PART_ROWS = 500_000
NUM_CLUSTERS = 20_000
SEED = 7
EPSILON = 0.05


def make_part(shard: int, size: int) -> np.ndarray:
    """(size, 64): the last fifth are near-copies of rows before it."""
    centres = np.random.default_rng(SEED).standard_normal((NUM_CLUSTERS, DIM), dtype=np.float32)
    rng = np.random.default_rng([SEED, shard])
    cluster = (NUM_CLUSTERS * rng.random(size) ** 2).astype(np.int64)  # some are much larger
    vectors = centres[cluster] + 0.5 * rng.standard_normal((size, DIM), dtype=np.float32)
    copies = size // 5
    source = rng.integers(0, size - copies, copies)
    noise = rng.standard_normal((copies, DIM), dtype=np.float32)
    length = np.linalg.norm(vectors[source], axis=1, keepdims=True) / DIM**0.5
    vectors[size - copies :] = vectors[source] + noise * length * rng.uniform(0, 0.28, (copies, 1))
    return vectors


def make_table(layout: RunLayout, rows: int) -> FactTable:
    schema = fact_schema("features", [vector_column("features", DIM, "made by a program")])
    parts = []
    for shard, start in enumerate(range(0, rows, PART_ROWS)):
        vectors = make_part(shard, min(PART_ROWS, rows - start))
        ids = pa.array(row_id(shard, 0) + np.arange(len(vectors)))
        parts.append(layout.facts_part("features", "made", part_name(shard, 0)))
        table = pa.Table.from_arrays([ids, encode_vectors(vectors)], schema=schema)
        write_part(parts[-1], table)
    return write_fact_table(layout, "features", "made", parts, about={"dim": DIM})


class Memory:
    """The most memory this process has used, in MB."""

    def __init__(self) -> None:
        self.anonymous = 0.0
        self._stop = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self.anonymous = max(self.anonymous, self._read("RssAnon"))

    @staticmethod
    def _read(field: str) -> float:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1000
        return 0.0

    def to_dict(self) -> dict[str, float]:
        return {"peak_mb": round(self._read("VmHWM")), "peak_anonymous_mb": round(self.anonymous)}


def measure(work: str, rows: int, threads: int) -> dict[str, object]:
    layout = RunLayout(f"{work}/run-{rows}")
    started = time.monotonic()
    fact = make_table(layout, rows)
    made_s = time.monotonic() - started
    memory = Memory()
    started, cpu = time.monotonic(), time.process_time()
    card = build_index(layout, fact, threads=threads, rebuild=True)
    build_s, build_cpu_s = time.monotonic() - started, time.process_time() - cpu
    built = memory.to_dict()
    folder = index_folder(layout, fact.fact_id)
    file = VectorFile(folder, card.num_vectors, card.dim)
    with workers(threads) as pool:
        opened = NeighborIndex(card, file, read_index(folder, card))
        queries = file.vectors[np.random.default_rng(1).integers(0, rows, 2000)]
        started = time.monotonic()
        opened.search(queries, k=10, pool=pool)
        query_ms = (time.monotonic() - started) / len(queries) * 1000
        del opened
        ranked = np.random.default_rng(2).permutation(rows)
        started, cpu = time.monotonic(), time.process_time()
        found = find_semantic(file.vectors, ranked, epsilon=EPSILON, pool=pool)
        dedup_s, dedup_cpu_s = time.monotonic() - started, time.process_time() - cpu
    return {
        "rows": rows,
        "dim": DIM,
        "threads": threads,
        "kind": card.kind.kind,
        "lists": card.kind.lists,
        "made_s": round(made_s, 1),
        "build_s": round(build_s, 1),
        "build_cpu_s": round(build_cpu_s, 1),
        "build_memory": built,
        "recall_at_10": card.recall["recall_at_k"],
        "query_ms": round(query_ms, 3),
        "index_mb": round(sum(f.stat().st_size for f in folder.glob("*.faiss")) / 1e6),
        "vectors_mb": round((folder / "vectors.f16").stat().st_size / 1e6),
        "dedup_s": round(dedup_s, 1),
        "dedup_cpu_s": round(dedup_cpu_s, 1),
        "dedup_search": "flat" if found.search.exact else f"ivf-pq, {found.search.lists} lists",
        "dedup_removed": len(found.outcome.removed),
        "planted_copies": sum(
            min(PART_ROWS, rows - start) // 5 for start in range(0, rows, PART_ROWS)
        ),
        "dedup_recall": found.recall,
        "dedup_least_similarity": round(float(found.similarity.min()), 6),
        "memory": memory.to_dict(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True)
    parser.add_argument("--sizes", default="100000,1000000,10000000")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.work, options.one, options.threads)))
        return
    for size in options.sizes.split(","):
        command = [sys.executable, "-m", "benchmarks.neighbors_scale", "--work", options.work]
        command += ["--threads", str(options.threads), "--one", size]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        shutil.rmtree(f"{options.work}/run-{size}")
        result = {"benchmark": "neighbors_scale", **json.loads(done.stdout), "at": now()}
        print(
            json.dumps(
                {
                    **result,
                    "hardware": hardware(),
                    "versions": {**versions(), "faiss": faiss.__version__},
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
