"""Running the probes: on the run's own workers, into a folder that is gone afterwards."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cluster.dispatch import Finished, Quarantined, RunAborted
from cluster.execution import Plan, run_tasks, worker_pool
from cluster.forecast.probe_stage import ProbeStage, ProbeTask
from cluster.progress import OnProgress, Progress
from cluster.score_stage import ScoreStage
from selector.tables.layout import RunLayout
from shards import storage
from shards.errors import CoursepackError, UsageError


@contextmanager
def temporary_run(layout: RunLayout | None) -> Iterator[str]:
    """A folder for what probes write: beside the output, so that its storage is probed as well."""
    if layout is None:
        with tempfile.TemporaryDirectory(prefix="coursepack-plan-") as folder:
            yield folder
        return
    existed = storage.exists(layout.root)
    folder = storage.join(layout.root, f".plan-{secrets.token_hex(4)}")
    try:
        yield folder
    finally:
        if storage.is_local(folder):
            shutil.rmtree(folder, ignore_errors=True)
            if not existed:
                with contextlib.suppress(OSError):  # another plan is at work in it
                    os.rmdir(layout.root)
        elif storage.exists(folder):
            for info in storage.list_files(folder, recursive=True):
                storage.remove(info.uri)


def run_probes(
    chosen: Plan, stage: ScoreStage, tasks: Sequence[ProbeTask], tell: OnProgress
) -> tuple[list[dict[str, float]], float]:
    """Counters of each probe, and the seconds until the workers were ready."""
    found: list[dict[str, float]] = []
    began = time.monotonic()
    try:
        with worker_pool(chosen, ProbeStage(stage)) as pool:
            for outcome in run_tasks(pool, tasks, chosen):
                if isinstance(outcome, Quarantined):
                    raise _cannot(outcome.failure.message, stage)
                if isinstance(outcome, Finished):
                    found.append(outcome.result.counters)
                    tell(Progress(len(found), len(tasks), unit="probes"))
            took = time.monotonic() - began
    except RunAborted as error:
        raise _cannot(str(error), stage) from error
    return found, max(0.0, took - max(counters["probe_s"] for counters in found))


def _cannot(message: str, stage: ScoreStage) -> CoursepackError:
    if "out of memory" in message.lower():
        return UsageError(
            f"a batch of {stage.batch_size} images does not fit the memory of a worker on "
            f"{stage.device} ({message.splitlines()[0]}); lower --batch-size"
        )
    return CoursepackError(f"the probe failed as the run would: {message}")
