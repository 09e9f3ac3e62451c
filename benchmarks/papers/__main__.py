"""The papers' arms on our pools.

    python -m benchmarks.papers TABLE --track small --work /tmp/papers [--seeds 3] [--arms A B]
    python -m benchmarks.papers TABLE --track full --work DIR --pool SHARDS [--data DIR]
    python -m benchmarks.papers TABLE --track mine.yaml --work DIR

`prepare` in place of a table makes ready what all of them share: shards, and the teacher of `full`.
Prints a table and files one JSON line per arm and seed in benchmarks/results/papers.jsonl, as soon
as it is there: stopped and started again, it goes on. Accuracy is of the LAST step. With
`--validate` it is measured on images held out of training, and filed in the work folder alone, as
the tiny track's and a reduced one's are: that is where settings are chosen. `--budget-minutes` sets
the steps, by a probe, so that all arms and seeds fit. Tracks are described in track.py, full.py and
own.py beside this.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import fields
from pathlib import Path

from benchmarks.papers.budget import steps_for
from benchmarks.papers.full import CLASSES, TEACHER_SCHEDULES, FullOptions, full_track
from benchmarks.papers.own import own_track
from benchmarks.papers.run import run_table
from benchmarks.papers.tables import TABLES
from benchmarks.papers.track import TRACKS, Track, in_bf16
from shards.errors import CoursepackError, UsageError

RESULTS = Path(__file__).parents[1] / "results" / "papers.jsonl"


def main() -> None:
    options = _parser().parse_args()
    try:
        _run(options, _track(options))
    except CoursepackError as error:
        sys.exit(f"error: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", choices=[*TABLES, "prepare"])
    parser.add_argument("--track", default="small", help="tiny, small, full, or a YAML file")
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", default=[])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--budget-minutes", type=float)
    parser.add_argument("--threads", type=int, help="of training; 1, with a GPU its track's own")
    parser.add_argument("--bf16", action="store_true", help="both networks, for CPUs that have it")
    parser.add_argument("--compile", action="store_true", help="students, by torch.compile")
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--results", type=Path, default=RESULTS)
    full = parser.add_argument_group("the full track")
    full.add_argument("--pool", help="shards; else COURSEPACK_POOL, else the wild images")
    full.add_argument("--data", help="folder with train/ and test/ shards, or torchvision's")
    full.add_argument("--dataset", choices=list(CLASSES), default="cifar10")
    full.add_argument("--num-selected", type=int)
    full.add_argument("--true-share", type=float, help="of the pool, of the teacher's classes")
    full.add_argument("--teacher-schedule", choices=list(TEACHER_SCHEDULES), default="short")
    full.add_argument("--reduced", action="store_true", help="a test of the program, on a CPU")
    return parser


def _track(options: argparse.Namespace) -> Track:
    if options.track in TRACKS:
        track = TRACKS[options.track]
        return in_bf16(track) if options.bf16 else track
    if options.bf16:
        raise UsageError("--bf16 is of the tracks tiny and small; a track of one's own says it")
    if options.track == "full":
        names = [field.name for field in fields(FullOptions)]
        return full_track(FullOptions(**{name: getattr(options, name) for name in names}))
    return own_track(Path(options.track))


def _run(options: argparse.Namespace, track: Track) -> None:
    work = options.work
    if options.validate and track.name == "full":
        work = work / "validation"  # its teacher is another: it has not seen those images either
    work.mkdir(parents=True, exist_ok=True)
    measured = "validation" if options.validate else "test"
    if options.table == "prepare":
        print(f"{track.title}: {track.prepare(work, measured)}")
        return
    table, steps, threads = TABLES[options.table], options.steps, options.threads
    if options.budget_minutes:
        arms = len(options.arms or table.arms)
        seconds = 60 * options.budget_minutes / (arms * options.seeds)
        steps = steps_for(track, work=work, seconds=seconds, threads=threads or 1)
        print(f"{steps} steps a student fit into {seconds:.0f} s", flush=True)
    found: dict[str, list[float]] = {}
    titles: dict[str, str] = {}
    kept = not options.validate and track.name != "tiny" and not options.reduced
    for row in run_table(
        table,
        track,
        work=work,
        seeds=options.seeds,
        results=options.results if kept else work / "results.jsonl",
        measured=measured,
        only=tuple(options.arms),
        steps=steps,
        threads=threads,
        compiled=options.compile,
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
