"""The papers' arms on our pools.

    python -m benchmarks.papers TABLE --track small --work /tmp/papers [--seeds 3] [--arms A B]

Prints a table and files one JSON line per arm and seed in benchmarks/results/papers.jsonl, as soon
as it is there: stopped and started again, it goes on. Accuracy is of the LAST step. With
`--validate` it is measured on images held out of training, and filed in the work folder alone, as
the tiny track's is: that is where settings are chosen. `--budget-minutes` sets the steps, by a
probe, so that all arms and seeds fit.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from benchmarks.papers.budget import steps_for
from benchmarks.papers.run import run_table
from benchmarks.papers.tables import TABLES
from benchmarks.papers.track import TRACKS

RESULTS = Path(__file__).parents[1] / "results" / "papers.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=list(TABLES))
    parser.add_argument("--track", choices=list(TRACKS), default="small")
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", default=[])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--budget-minutes", type=float)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    table, track = TABLES[options.table], TRACKS[options.track]
    options.work.mkdir(parents=True, exist_ok=True)
    steps = options.steps
    if options.budget_minutes:
        arms = len(options.arms or table.arms)
        seconds = 60 * options.budget_minutes / (arms * options.seeds)
        steps = steps_for(track, work=options.work, seconds=seconds, threads=options.threads)
        print(f"{steps} steps a student fit into {seconds:.0f} s", flush=True)
    found: dict[str, list[float]] = {}
    titles: dict[str, str] = {}
    kept = not options.validate and options.track != "tiny"
    results = options.results if kept else options.work / "results.jsonl"
    for row in run_table(
        table,
        track,
        work=options.work,
        seeds=options.seeds,
        results=results,
        measured="validation" if options.validate else "test",
        only=tuple(options.arms),
        steps=steps,
        threads=options.threads,
    ):
        found.setdefault(row["arm"], []).append(row["top1"])
        titles[row["arm"]] = row["title"]
        print(f"{row['arm']} seed {row['seed']}: {row['top1']:.2f}", flush=True)
    print(f"\n{table.title}: {track.title}")
    for arm, values in found.items():
        spread = f" +- {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        print(f"  {titles[arm]:<42} {statistics.mean(values):6.2f}{spread}")


if __name__ == "__main__":
    main()
