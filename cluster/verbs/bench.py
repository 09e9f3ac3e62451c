"""`bench`: the limits of this machine on a pool, and how near the engine comes to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cluster.batch_size import default_batch_size
from cluster.execution import ExecutionConfig, choose_device, make_plan, worker_pool
from cluster.progress import OnProgress, Progress, ignore
from cluster.provenance import commit, hardware, now, usable_cores, versions
from cluster.runtime_choice import choose_runtime
from cluster.speed.page import write_page
from cluster.speed.report import BenchReport, Comparison, compare, read_report
from cluster.speed.rounds import measure
from cluster.speed.stations import BenchStage, Stations, full_features
from cluster.speed.workload import read_workload
from selector.scoring.spec import ScoreSpec
from selector.teachers.load import load_teacher
from selector.teachers.open_runtime import recorded_name
from shards import atomic, storage
from shards.errors import UsageError

LEAST_EACH = 1024
"""Images that each worker has, unless fewer are asked for: all of them are held in memory."""


@dataclass(frozen=True)
class BenchResult:
    """A report, where it was written, and what has changed since another one.

    Attributes:
        json, page: files; None where no folder was given.
        comparison: None where nothing was given to compare with.
    """

    report: BenchReport
    json: str | None
    page: str | None
    comparison: Comparison | None

    @property
    def exit_code(self) -> int:
        """3 if something became slower beyond the noise, on the same hardware and workload."""
        if self.comparison is None or self.comparison.differences:
            return 0
        return 3 if self.comparison.regressions else 0

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.report.to_dict(),
            "json": self.json,
            "page": self.page,
            "comparison": None if self.comparison is None else self.comparison.to_dict(),
        }


def bench(
    pool: Sequence[str],
    *,
    spec: ScoreSpec,
    out: str | None = None,
    execution: ExecutionConfig | None = None,
    features: bool = False,
    images: int = 4096,
    rounds: int = 7,
    price_per_hour: float | None = None,
    against: str | None = None,
    on_progress: OnProgress | None = None,
) -> BenchResult:
    """Measure what each stage could do alone, then all of them together, in rounds.

    All workers that this machine would have are measured, at once: on its cores, or one for each
    GPU with its share of them.

    Args:
        pool: As for `score`; its first samples are used, and held in memory.
        spec: Teacher, runtime, limits.
        out: Folder for bench.json and bench.html; None = nothing is written.
        execution: Workers, threads, batch size and device.
        features: Store full stage features too.
        images: Samples that all workers score together in a round, each its share of at least
            1,024 (or all of them, if there are fewer): the same ones.
        rounds: Measurements of everything, after one that does not count.
        price_per_hour: Of what is measured, for the cost of a million images.
        against: A bench.json to compare with.

    Raises:
        UsageError: too few images, rounds below 3, no report at `against`, a cluster; as
            `load_teacher`.
        CoursepackError: a shard cannot be read, a worker died.
    """
    if rounds < 3:
        raise UsageError(f"rounds is {rounds}; expected at least 3, for an interval")
    before = None if against is None else read_report(against)
    execution, tell = execution or ExecutionConfig(), on_progress or ignore
    if execution.on_ray:
        raise UsageError(
            "bench measures the machine that it runs on: leave --address and --executor ray out, "
            "or submit it as a job"
        )
    device = choose_device(execution)
    tell(Progress(0, rounds + 1, unit="rounds", note="reading the first images of the pool"))
    plan = make_plan(execution, device=device)
    each = min(images, max(LEAST_EACH, images // plan.actors))
    workload = read_workload(pool, num_images=each)
    teacher = load_teacher(spec.teacher_spec)
    batch_size = execution.batch_size or default_batch_size(teacher.preprocessing, device)
    spec = choose_runtime(
        spec, teacher, None, execution={"device": device, "batch_size": batch_size},
        say=lambda note: tell(Progress(0, rounds + 1, unit="rounds", note=note)),
    ).spec  # fmt: skip
    assert spec.runtime != "auto"
    stage = BenchStage(tuple(pool), each, spec, batch_size, plan.threads, device, features=features)
    with worker_pool(plan, stage) as workers:
        stations = Stations(workers, plan.actors)
        limits, rate = measure(
            stations,
            rounds=rounds,
            cores=min(plan.actors * plan.threads, usable_cores()),
            gpu=device != "cpu",
            on_round=lambda done: tell(Progress(done, rounds + 1, unit="rounds")),
        )
    report = BenchReport(
        workload={
            "pool": list(pool),
            "images": workload.num_images,
            "bytes_per_image": round(workload.num_bytes / workload.num_images),
            "teacher": teacher.name,
            "runtime": recorded_name(spec.runtime, device),
            "decode": teacher.preprocessing.decode,
            "features": full_features(spec, teacher, device=device).dim if features else 0,
            "batch_size": batch_size,
            "halved_to": stations.halved_to,
            "workers": plan.actors,
            "threads": plan.threads,
            "device": device,
            "rounds": rounds,
            "views": spec.views,
        },
        limits=limits,
        engine=rate,
        stamp={"at": now(), "hardware": hardware(), "versions": versions(), "commit": commit()},
        price_per_hour=price_per_hour,
    )
    comparison = None if before is None else compare(report, before)
    if out is None:
        return BenchResult(report, None, None, comparison)
    target, page = storage.join(out, "bench.json"), storage.join(out, "bench.html")
    storage.make_dirs(out)
    atomic.write_bytes(target, json.dumps(report.to_dict(), indent=1).encode() + b"\n")
    write_page(page, report, comparison)
    return BenchResult(report, target, page, comparison)
