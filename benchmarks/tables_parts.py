"""What many small parts cost a query, and what compaction makes of it.

    python -m benchmarks.tables_parts --work DIR [--parts 100000] [--rows-per-part 100]
        [--tasks first_row one_column selection]

Writes a run of that many shards of one small part each (scores and members), then measures, each
in a process of its own: the time to the first row of a query, a query over one column, and a
selection of a hundredth; before and after `coursepack compact`. One JSON line per measurement, and
one for the compaction itself.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.make_rows import made_up_scores, write_pool
from benchmarks.tables_scale import peak_mb, stamp
from selector.tables.layout import RunLayout, part_name
from selector.tables.schema import members_schema
from selector.tables.write import write_table_list

AT_ONCE = 1_000


def make_parts(root: str, *, parts: int, rows_per_part: int) -> None:
    """Parts without the caution of a real run (no fsync): they are there to be many."""
    layout = RunLayout(root)
    for folder in (layout.scores_dir, layout.members_dir):
        Path(folder).mkdir(parents=True)
    pq.write_table(members_schema().empty_table(), layout.members_part("empty"))
    empty = Path(layout.members_part("empty"))
    content = empty.read_bytes()
    empty.unlink()

    def write(first: int) -> list[str]:
        shards = np.arange(first, min(first + AT_ONCE, parts))
        shard, index = (
            np.repeat(shards, rows_per_part),
            np.tile(np.arange(rows_per_part), len(shards)),
        )
        rng = np.random.default_rng([1, first])
        rows = made_up_scores(rng, shard, index, shard << 32 | index)
        names = [part_name(int(one), 0) for one in shards]
        for at, name in enumerate(names):
            piece = rows.slice(at * rows_per_part, rows_per_part)
            pq.write_table(
                piece, layout.scores_part(name), compression="zstd", use_dictionary=False
            )
            Path(layout.members_part(name)).write_bytes(content)
        return names

    with ThreadPoolExecutor(2) as pool:
        names = [name for some in pool.map(write, range(0, parts, AT_ONCE)) for name in some]
    write_pool(layout, parts)
    write_table_list(layout, "scores", map(layout.scores_part, names))
    write_table_list(layout, "members", map(layout.members_part, names))


def first_row(run: str) -> None:
    from selector.tables.query import query

    query(run, "SELECT row_id FROM scores LIMIT 1")


def one_column(run: str) -> None:
    from selector.tables.query import query

    query(run, "SELECT pseudo_label, count(*) AS n FROM scores GROUP BY 1")


def selection(run: str) -> None:
    from selector.selection import select

    recipe = {"steps": [{"take": {"quantile": 0.01, "order": "noise_value"}}]}
    select(run, recipe, name=f"s{time.time_ns()}")


def compaction(run: str) -> None:
    from cluster.verbs.compact import compact

    compact(run)


TASKS: dict[str, Callable[[str], None]] = {
    "first_row": first_row, "one_column": one_column, "selection": selection,
    "compaction": compaction,
}  # fmt: skip


def child(task: str, run: str) -> None:
    begun, processor = time.monotonic(), time.process_time()
    TASKS[task](run)
    told = {
        "seconds": round(time.monotonic() - begun, 2),
        "cpu_seconds": round(time.process_time() - processor, 2),
        "peak_mb": peak_mb(),
    }
    print(json.dumps(told))


def measure(task: str, run: str, work: str) -> dict[str, Any]:
    command = ["-m", "benchmarks.tables_parts", "--work", work, "--child", task, run]
    done = subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True)
    parser.add_argument("--parts", type=int, default=100_000)
    parser.add_argument("--rows-per-part", type=int, default=100)
    asked = ("first_row", "one_column", "selection")
    parser.add_argument("--tasks", nargs="+", default=asked, choices=asked)
    parser.add_argument("--child", nargs=2, metavar=("TASK", "RUN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    run = str(Path(options.work) / f"parts-{options.parts}")
    if not Path(run).exists():
        make_parts(run, parts=options.parts, rows_per_part=options.rows_per_part)
    for when, tasks in (
        ("before", options.tasks), ("", ["compaction"]), ("after", options.tasks),
    ):  # fmt: skip
        for task in tasks:
            told = {"benchmark": "tables_parts", "task": task, "when": when} | {
                "parts": options.parts, "rows": options.parts * options.rows_per_part,
                **measure(task, run, options.work),
            }  # fmt: skip
            print(json.dumps(told | stamp()), flush=True)


if __name__ == "__main__":
    main()
