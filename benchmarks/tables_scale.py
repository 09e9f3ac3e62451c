"""Selecting and asking at 1, 10 and 100 million rows: seconds, processor seconds, peak memory.

    python -m benchmarks.tables_scale --work DIR [--millions 1 10 100] [--tools ...] [--tasks ...]

Makes a run of each size in DIR (benchmarks.make_rows; 50 MB a million rows) unless it is there, and
does every task with every tool in a process of its own:

    top      the 600,000 lowest noise values
    quota    of each of 1,000 classes the 600 lowest
    join     without the rows called duplicates (a fact table), of each of 5,000 clusters (another
             one) the 120 lowest
    group    SQL: rows and mean noise value of each class
    cluster  SQL: the same of each cluster, a join of two tables of all rows

Tools: coursepack (its Python functions, 4 GB for SQL), pandas and pyarrow (plain code: read the
columns that are needed, filter, sort or join), both without ties settled by content hash. Each
process may use --limit-gb of address space, so that what does not fit fails by itself; a task that
failed at one size is not tried at a larger one. Every answer is checked against the others' of that
task and size: the number of rows and the sum of their noise values. Tables lie in the page cache.
One JSON line per measurement; on a machine that does other things besides, read `cpu_seconds`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

MILLION = 1_000_000
TASKS = ("top", "quota", "join", "group", "cluster")
TOOLS = ("coursepack", "pandas", "pyarrow")
_BY_NOISE = {"order": "noise_value", "shortage": "accept"}
RECIPES: dict[str, dict[str, Any]] = {
    "top": {"steps": [{"take": {"n": 600_000, "order": "noise_value"}}]},
    "quota": {"steps": [{"quota": {"by": "pseudo_label", "n": 600, **_BY_NOISE}}]},
    "join": {
        "steps": [
            {"exclude": {"duplicates": "duplicates_semantic"}},
            {"quota": {"by": "clusters.cluster", "n": 120, **_BY_NOISE}},
        ]
    },
}
QUERIES = {
    "group": "SELECT pseudo_label AS label, count(*) AS n, avg(noise_value) AS mean FROM scores "
    "WHERE status = 'ok' GROUP BY 1",
    "cluster": "SELECT cluster AS label, count(*) AS n, avg(noise_value) AS mean FROM scores "
    "JOIN clusters USING (row_id) WHERE status = 'ok' GROUP BY 1",
}

Answer = tuple[int, float]
"""Rows, and the sum of their noise values (of the means, for SQL)."""


def coursepack(run: str, task: str) -> Answer:
    from selector.selection import select
    from selector.tables.query import query

    if task in QUERIES:
        table = query(run, QUERIES[task])
        return table.num_rows, sum(table["mean"].to_pylist())
    select(run, RECIPES[task], name=task, overwrite=True)
    return 0, 0.0  # looked up outside the measurement, see `_answer`


def _answer(run: str, task: str) -> Answer:
    from selector.tables.query import query

    row = query(
        run,
        "SELECT count(*) AS n, sum(noise_value::DOUBLE) AS s "
        f"FROM selection_{task} JOIN scores USING (row_id)",
    )
    return row["n"][0].as_py(), row["s"][0].as_py()


def pandas(run: str, task: str) -> Answer:
    import pandas as pd

    def read(kind: str, columns: list[str]) -> pd.DataFrame:
        return pd.read_parquet(_files(run, kind), columns=columns)

    label = "pseudo_label" if task in ("quota", "group") else None
    scores = read("scores", ["row_id", "status", "noise_value", *([label] if label else [])])
    scores = scores[scores["status"] == "ok"]
    if task in ("join", "cluster"):
        scores = scores.merge(read("clusters", ["row_id", "cluster"]), on="row_id")
    if task == "join":
        copies = read("duplicates_semantic", ["row_id", "duplicate_of"])
        scores = scores.merge(copies[copies["duplicate_of"].isna()][["row_id"]], on="row_id")
    by = label or "cluster"
    match task:
        case "top":
            kept = scores.nsmallest(600_000, "noise_value")
        case "quota" | "join":
            size = 600 if task == "quota" else 120
            kept = scores.sort_values("noise_value").groupby(by).head(size)
        case _:
            means = scores.groupby(by)["noise_value"].agg(["size", "mean"])
            return len(means), float(means["mean"].sum())
    return len(kept), float(kept["noise_value"].astype(float).sum())


def pyarrow(run: str, task: str) -> Answer:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    def read(kind: str, columns: list[str], keep: pc.Expression | None = None) -> pa.Table:
        return ds.dataset(_files(run, kind)).to_table(columns=columns, filter=keep)

    label = "pseudo_label" if task in ("quota", "group") else None
    columns = ["row_id", "noise_value", *([label] if label else [])]
    scores = read("scores", columns, pc.field("status") == "ok")
    if task in ("join", "cluster"):
        scores = scores.join(read("clusters", ["row_id", "cluster"]), "row_id", join_type="inner")
    if task == "join":
        kept_rows = read("duplicates_semantic", ["row_id"], pc.field("duplicate_of").is_null())
        scores = scores.join(kept_rows, "row_id", join_type="inner")
    by = label or "cluster"
    match task:
        case "top":
            order = [("noise_value", "ascending")]
            kept = scores.take(pc.select_k_unstable(scores, 600_000, order))
        case "quota" | "join":
            size = 600 if task == "quota" else 120
            order = pc.sort_indices(scores, [(by, "ascending"), ("noise_value", "ascending")])
            groups = scores[by].to_numpy()[order.to_numpy()]
            starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
            rank = np.arange(len(groups)) - np.repeat(starts, np.diff(np.r_[starts, len(groups)]))
            kept = scores.take(order.filter(pa.array(rank < size)))
        case _:
            means = scores.group_by(by).aggregate([("noise_value", "mean")])
            return len(means), pc.sum(means["noise_value_mean"]).as_py()
    return len(kept), pc.sum(kept["noise_value"].cast(pa.float64())).as_py()


def _files(run: str, kind: str) -> list[str]:
    from selector.tables.layout import RunLayout
    from selector.tables.read import table_parts

    return table_parts(RunLayout(run), kind)


def child(tool: str, task: str, run: str, limit_gb: float) -> None:
    """One task in this process; prints what it took."""
    limit = round(limit_gb * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    work: Callable[[str, str], Answer] = {
        "coursepack": coursepack, "pandas": pandas, "pyarrow": pyarrow,
    }[tool]  # fmt: skip
    shutil.rmtree(Path(run) / "selections", ignore_errors=True)
    for module in _IMPORTS[tool]:
        import_module(module)  # no part of the work
    begun, processor = time.monotonic(), time.process_time()
    rows, total = work(run, task)
    told = {
        "seconds": round(time.monotonic() - begun, 2),
        "cpu_seconds": round(time.process_time() - processor, 2),
        "peak_mb": peak_mb(),
    }
    if tool == "coursepack" and task in RECIPES:
        rows, total = _answer(run, task)
    print(json.dumps(told | {"rows_out": rows, "sum": total}))


_IMPORTS = {
    "coursepack": ["selector.selection", "selector.tables.query"],
    "pandas": ["pandas", "pyarrow.parquet", "selector.tables.read"],
    "pyarrow": ["pyarrow.dataset", "pyarrow.parquet", "selector.tables.read"],
}


def peak_mb() -> int:
    """Most resident memory of this process; getrusage would tell the parent's if that is more."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def stamp() -> dict[str, Any]:
    """When, where and with what; `load` is how many processes the machine ran besides."""
    from cluster.provenance import commit, hardware, now, versions

    about = {"at": now(), "commit": commit(), "load": round(os.getloadavg()[0], 1)}
    return about | {"hardware": hardware(), "versions": versions()}


def measure(tool: str, task: str, run: str, options: argparse.Namespace) -> dict[str, Any]:
    command = [
        sys.executable, "-m", "benchmarks.tables_scale", "--child", tool, task, run,
        "--limit-gb", str(options.limit_gb), "--work", options.work,
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=options.timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"more than {options.timeout_s} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return {"failed": last[:200]}
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True)
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--tools", nargs="+", default=TOOLS, choices=TOOLS)
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    parser.add_argument("--limit-gb", type=float, default=14.0)
    parser.add_argument("--timeout-s", type=float, default=240.0)
    parser.add_argument("--child", nargs=3, metavar=("TOOL", "TASK", "RUN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child, options.limit_gb)
        return
    failed: set[tuple[str, str]] = set()
    differ = False
    for millions in options.millions:
        run = str(Path(options.work) / f"rows-{millions}m")
        if not os.path.exists(run):
            command = ["-m", "benchmarks.make_rows", run, "--rows", str(millions * MILLION)]
            subprocess.run([sys.executable, *command], check=True, stdout=sys.stderr)
        for task in options.tasks:
            answers = {}
            for tool in options.tools:
                if (tool, task) in failed:
                    continue
                told = measure(tool, task, run, options)
                if "failed" in told:
                    failed.add((tool, task))
                else:
                    answers[tool] = (told["rows_out"], round(told["sum"], 6))
                differ |= not _agree(list(answers.values()))
                result = {"benchmark": "tables_scale", "task": task, "tool": tool} | {
                    "rows": millions * MILLION, "limit_gb": options.limit_gb, **told,
                }  # fmt: skip
                print(json.dumps(result | stamp()), flush=True)
    sys.exit(differ)


def _agree(answers: list[Answer]) -> bool:
    """The same rows, as far as sums in different orders can tell."""
    return all(
        rows == answers[0][0] and abs(total - answers[0][1]) <= 1e-6 * abs(answers[0][1]) + 1e-12
        for rows, total in answers
    )


if __name__ == "__main__":
    main()
