"""The workers of a bench. All measure the same at the same time, as they share the machine.

One alone would find more room in caches, memory and clock than a run with every core at work.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Literal, TypeVar, get_args

from cluster.outcomes import RunAborted
from cluster.speed.limits import Bench, Rate
from cluster.speed.workload import read_workload
from cluster.stage import TaskResult
from cluster.worker_pool import CannotOpen, Died, Done, Raised, Ready, WorkerPool
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.features import FeaturePlan, choose_taps, make_feature_plan
from selector.scoring.shard_scorer import ShardScorer
from selector.scoring.spec import ScoreSpec
from selector.teachers.load import Teacher, load_teacher
from selector.teachers.open_runtime import describe_runtime
from shards.errors import CoursepackError

Phase = Literal["storage", "tar", "decode", "model", "copies", "write", "engine"]
"""What is measured, in an order in which each finds what it needs of those before."""

PHASES: tuple[Phase, ...] = get_args(Phase)

_PATIENCE_S = 900.0

Event = TypeVar("Event", Ready, Done)


@dataclass(frozen=True)
class PhaseTask:
    """Measure one thing; `folder` is for whatever is written."""

    phase: Phase
    folder: str
    num_bytes: int = 0

    @property
    def name(self) -> str:
        return self.phase


@dataclass(frozen=True)
class BenchStage:
    """What each worker of a bench opens.

    Attributes:
        pool, images: as of `read_workload`.
        spec: its runtime is chosen.
        features: store full stage features too.
    """

    pool: tuple[str, ...]
    images: int
    spec: ScoreSpec
    batch_size: int
    threads: int
    device: str
    features: bool = False
    name: str = "bench"

    def open(self) -> Station:
        return Station(self)


class Station:
    """A worker: the engine, and every stage of it alone."""

    def __init__(self, stage: BenchStage) -> None:
        self._workload = read_workload(stage.pool, num_images=stage.images)
        plan = None
        if stage.features:
            teacher = load_teacher(stage.spec.teacher_spec, device=stage.device)
            plan = full_features(stage.spec, teacher, device=stage.device)
        self._scorer = ShardScorer(
            stage.spec, batch_size=stage.batch_size, threads=stage.threads,
            device=stage.device, features=plan,
        )  # fmt: skip
        self._bench = Bench(
            self._workload, stage.spec, self._scorer.teacher, self._scorer.forward, plan,
            stage.batch_size, stage.threads,
            None if stage.device == "cpu" else self._scorer.models,
            self._scorer.decoders if not self._scorer.why_no_lane else None,
        )  # fmt: skip

    def run(self, task: PhaseTask) -> TaskResult:
        rate = self._measure(task.phase, f"{task.folder}/{os.getpid()}")
        found = {"halved_to": float(self._scorer.forward.halved_to or 0)}
        return TaskResult(task.name, counters=found if rate is None else {**found, **vars(rate)})

    def close(self) -> None:
        self._scorer.close()

    def _measure(self, phase: Phase, folder: str) -> Rate | None:
        match phase:
            case "write":
                return self._bench.write(folder)
            case "engine":
                return self._engine(folder)
            case _:
                rate: Rate | None = getattr(self._bench, phase)()
                return rate

    def _engine(self, run: str) -> Rate:
        begin = perf_counter()
        for task in self._workload.tasks(run):
            self._scorer.score(task)
        return Rate(self._workload.num_images / (perf_counter() - begin))


def full_features(spec: ScoreSpec, teacher: Teacher, *, device: str) -> FeaturePlan:
    """Every number of every stage of the teacher."""
    assert spec.runtime != "auto"
    taps = choose_taps(FeatureSpec(), teacher)
    runtime = describe_runtime(spec.runtime, teacher, taps=taps, device=device)
    return make_feature_plan(teacher, runtime, taps)


class Stations:
    """All workers of a bench, side by side.

    Attributes:
        halved_to: the batch that a GPU's memory had room for, once a larger one had none.

    Args:
        pool: of a `BenchStage`.
        num: how many to start; returns when all are ready.

    Raises:
        RunAborted: one cannot open the stage.
        CoursepackError: one died, or was not heard of for a quarter of an hour.
    """

    def __init__(self, pool: WorkerPool, num: int) -> None:
        self.halved_to: int | None = None
        self._pool = pool
        self._workers = [pool.start() for _ in range(num)]
        self._gather(Ready)

    def measure(self, phase: Phase, folder: str) -> Rate | None:
        """Images per second of all together, and processor seconds an image.

        The sum of their rates: all have the same images to do here, but in a run whoever is done
        takes the next part, and nobody waits for the slowest. None where there is nothing to
        measure.

        Raises:
            RunAborted: it failed.
            CoursepackError: as above.
        """
        for worker in self._workers:
            self._pool.submit(worker, PhaseTask(phase, folder))
        found = [event.result.counters for event in self._gather(Done)]
        self.halved_to = max(int(one["halved_to"]) for one in found) or self.halved_to
        if not all("images_per_s" in one for one in found):
            return None
        cpu_s = sum(one["cpu_s"] for one in found) / len(found)
        return Rate(sum(one["images_per_s"] for one in found), cpu_s)

    def _gather(self, kind: type[Event]) -> Sequence[Event]:
        """One event of this kind from every worker."""
        events: list[Event] = []
        until = time.monotonic() + _PATIENCE_S
        while len(events) < len(self._workers):
            event = self._pool.wait(1.0)
            if isinstance(event, kind):
                events.append(event)
            elif isinstance(event, CannotOpen | Raised):
                raise RunAborted(event.failure)
            elif isinstance(event, Died):
                raise CoursepackError(
                    f"a worker of the bench died: {event.reason}. If it was out of memory, lower "
                    "--images, --batch-size or --actors"
                )
            elif time.monotonic() > until:
                raise CoursepackError(
                    f"a worker of the bench gives no sign for {_PATIENCE_S:.0f} s: "
                    f"{self._pool.why_silent()}; look at the storage of the pool"
                )
        return events
