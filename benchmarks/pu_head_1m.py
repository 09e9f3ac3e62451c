"""Head mode on a million cached feature rows of 960 dimensions: time and peak memory.

    python -m benchmarks.pu_head_1m --work /tmp/pu_1m [--rows 1000000] [--dim 960] [--threads 1]

The features are made by this program: unit clouds in 960 dimensions, the fifth part of the rows
moved, 100 parts of 10,000 rows, 1.9 GB on disk; 1,000 labelled rows. A process of its own then fits
(survey, cross-fitted prior, training with the default settings to its early stop, calibration) and
scores all rows into a fact table. Peak memory is the greatest resident size of that process, less
what it had after its imports, beside the total. Appends one JSON line to
benchmarks/results/pu_head_1m.jsonl.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.mnist_data import append_result
from cluster.provenance import hardware, now, versions
from selector.tables.facts import make_fact_id, write_fact_table
from selector.tables.layout import RunLayout, part_name
from selector.tables.schema import fact_schema, row_id
from selector.tables.vectors import encode_vectors, vector_column
from selector.tables.write import write_part

RESULTS = Path(__file__).parent / "results" / "pu_head_1m.jsonl"
ROWS_PER_PART, SHARE, LABELLED = 10_000, 0.2, 1_000
MOVED, GAP = 100, 0.35
"""Dimensions in which positives differ, and by how much in each: 3.5 in all."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=960)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(fit(options.work, options.dim, options.threads)))
        return
    made_s = write_features(options.work, options.rows, options.dim)
    command = [sys.executable, "-m", "benchmarks.pu_head_1m", "--child"]
    for name in ("work", "rows", "dim", "threads"):
        command += [f"--{name}", str(getattr(options, name))]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    result = {
        "benchmark": "pu_head_1m",
        "rows": options.rows,
        "dim": options.dim,
        "feature_gb": round(2 * options.rows * options.dim / 1e9, 2),
        "made_s": made_s,
        **json.loads(found.stdout.splitlines()[-1]),
        "at": now(),
        "hardware": hardware(),
        "versions": versions(),
    }
    append_result(RESULTS, result)


def drawn(rng: np.random.Generator, positive_N: np.ndarray, dim: int) -> np.ndarray:
    rows = rng.standard_normal((len(positive_N), dim), dtype=np.float32)
    rows[:, :MOVED] += GAP * positive_N[:, None]
    return np.asarray(rows + 3, np.float16)


def write_features(work: Path, rows: int, dim: int) -> float:
    """The feature table, unless it is there; returns the seconds."""
    layout = RunLayout(str(work / f"run-{rows}-{dim}"))
    done = Path(layout.root) / "written"
    if done.exists():
        return 0.0
    begin = time.perf_counter()
    fact_id = make_fact_id({"made": "up", "rows": rows, "dim": dim})
    schema = fact_schema("features", [vector_column("features", dim, "made up")])
    parts = []
    for shard in range(rows // ROWS_PER_PART):
        rng = np.random.default_rng([7, shard])
        vectors = drawn(rng, rng.random(ROWS_PER_PART) < SHARE, dim)
        ids = pa.array(row_id(shard, 0) + np.arange(ROWS_PER_PART))
        parts.append(layout.facts_part("features", fact_id, part_name(shard, 0)))
        columns = [ids, encode_vectors(vectors)]
        write_part(parts[-1], pa.Table.from_arrays(columns, schema=schema))
    write_fact_table(layout, "features", fact_id, parts, about={"mode": "full", "dim": dim})
    done.touch()
    return round(time.perf_counter() - begin, 1)


def fit(work: Path, dim: int, threads: int) -> dict[str, Any]:
    import torch

    from selector.pu.fit import fit_head
    from selector.pu.labelled import Labelled
    from selector.pu.score import score_parts
    from selector.pu.settings import make_settings
    from selector.tables.facts import find_fact

    torch.set_num_threads(threads)
    layout = RunLayout(str(next(work.glob(f"run-*-{dim}"))))
    features = find_fact(layout, "features")
    rng = np.random.default_rng(99)
    few = Labelled(
        keys=[str(i) for i in range(LABELLED)],
        vectors_PD=drawn(rng, np.ones(LABELLED, bool), dim),
        label_P=np.arange(LABELLED) % 10,
        predicted_P=np.arange(LABELLED) % 10,
        confidence_P=np.ones(LABELLED, np.float32),
    )
    before = peak_mb()
    seconds: dict[str, float] = {}
    last, begin = "", time.perf_counter()

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last, begin
        if what != last:
            now_s = time.perf_counter()
            if last:
                seconds[last] = round(now_s - begin, 1)
            last, begin = what, now_s

    whole = time.perf_counter()
    fitted = fit_head(
        features, few, prior=None, settings=make_settings("default"), on_progress=tell
    )
    seconds[last] = round(time.perf_counter() - begin, 1)
    scoring = time.perf_counter()
    score_parts(layout, features, fitted.classifier, f"bench-{time.time_ns()}")
    seconds["scoring"] = round(time.perf_counter() - scoring, 1)
    rows = int(fitted.report["num_pool"])
    return {
        "threads": threads,
        "labelled": LABELLED,
        "true_share": SHARE,
        "prior": fitted.report["prior"],
        "true_positive_rate": fitted.report["true_positive_rate"],
        "selected_share": fitted.report["selected_share"],
        "steps": int(fitted.curve[-1]["step"]),
        "seconds": seconds,
        "total_s": round(time.perf_counter() - whole, 1),
        "scored_rows_per_s": round(rows / seconds["scoring"]),
        "peak_mb": round(peak_mb()),
        "imports_mb": round(before),
    }


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
