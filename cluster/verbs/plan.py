"""`plan`: what scoring a pool will take, from probes on the very machines that will do it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

from cluster.batch_size import default_batch_size
from cluster.execution import (
    ExecutionConfig,
    Plan,
    choose_device,
    make_plan,
)
from cluster.forecast.choice import choose_shards, deal
from cluster.forecast.estimate import Estimate, estimate, read_probe
from cluster.forecast.probe_stage import ProbeTask
from cluster.forecast.probing import run_probes, temporary_run
from cluster.forecast.record import Forecast, total_wall, write_forecast
from cluster.forecast.work import find_work, part_sizes
from cluster.metrics import STAGES, sum_counters
from cluster.progress import OnProgress, Progress, ignore, say_to
from cluster.provenance import now
from cluster.runtime_choice import choose_runtime
from cluster.score_stage import ScoreStage
from cluster.verbs.score import DEFAULT_SPLIT, num_parts
from selector.scoring.spec import ScoreSpec, semantic_dict
from selector.tables.layout import RunLayout
from selector.teachers.load import Teacher, load_teacher
from shards import storage
from shards.errors import CoursepackError, UsageError
from shards.manifest import ShardEntry

MAX_PROBED_ACTORS = 8
"""Workers probed at once: more cost more, and a machine of one GPU is as fast as the next."""

SHARDS_PER_ACTOR = 8
"""Offered to each worker; it takes as many as its seconds allow, at least one."""

LEAST_SHARDS = 3
DISK_MARGIN = 1.05


def plan(
    pool: Sequence[str],
    *,
    spec: ScoreSpec,
    out: str | None = None,
    execution: ExecutionConfig | None = None,
    seconds: float = 10.0,
    price_per_hour: float | None = None,
    on_progress: OnProgress | None = None,
) -> Forecast:
    """Forecast what `score` with the same arguments will take.

    Ranges of a few shards, chosen over the pool by bytes, are scored for real: same stage, workers,
    threads, storage. What they write is removed. With `out`, the forecast is kept in the run, and
    `score` tells it beside the fact.

    Args:
        pool, spec, out, execution: As for `score`. Of a run that was begun, only what is left.
        seconds: How long each worker is probed, from its second batch on.
        price_per_hour: Of one GPU, or of one core where there is none.

    Raises:
        UsageError: what cannot work: wrong weights, no node with room for a worker, a batch that
            does not fit a GPU, not enough disk for the output; on Ray no `out`.
        CoursepackError: no shard could be probed.
    """
    execution, tell = execution or ExecutionConfig(), on_progress or ignore
    choose_device(execution)
    listing = storage.expand(list(pool))
    teacher = load_teacher(spec.teacher_spec)
    layout = RunLayout(out) if out is not None else None
    choice = choose_runtime(
        spec, teacher, layout, execution=asdict(execution),
        say=say_to(tell),
    )  # fmt: skip
    spec, device = choice.spec, choice.device
    work, stored = find_work(layout, listing, semantic_dict(spec, teacher, device=device))
    todo = work.state.todo
    if not todo:
        raise UsageError("nothing to do: every shard of the pool is done in this run")
    if execution.on_ray and layout is None:
        raise UsageError(
            "on a cluster a plan needs --out: the probes write where every node reaches, and what "
            "they write is removed"
        )
    split_bytes = stored.get("split_bytes", DEFAULT_SPLIT)
    if execution.split_bytes is not None:
        split_bytes = execution.split_bytes
    parts = num_parts(todo, split_bytes=split_bytes)
    chosen = make_plan(execution, device=device, parts=parts)
    batch_size = (
        execution.batch_size
        or stored.get("batch_size")
        or default_batch_size(teacher.preprocessing, device)
    )
    probed = min(chosen.actors, MAX_PROBED_ACTORS)
    shards = choose_shards(todo, max(LEAST_SHARDS, probed * SHARDS_PER_ACTOR))
    hands = deal(shards, probed)
    tell(Progress(0, len(hands), unit="probes", note=_note(hands, chosen, seconds)))
    began = time.monotonic()
    with temporary_run(layout) as folder:
        stage = ScoreStage(
            spec=spec,
            teacher_fingerprint=teacher.fingerprint,
            semantic_hash="0" * 12,
            ledger_folder=storage.join(folder, "ledger"),
            batch_size=batch_size,
            threads=chosen.threads,
            device=chosen.device,
        )
        tasks = [
            ProbeTask(f"probe-{number}", hand, folder, seconds) for number, hand in enumerate(hands)
        ]
        found, startup_s = run_probes(replace(chosen, actors=len(tasks)), stage, tasks, tell)
    probes = [read_probe(counters) for counters in found]
    if not any(probe.points and probe.images for probe in probes):
        raise CoursepackError(
            "no image could be probed: the chosen shards are empty or broken; see `coursepack "
            "shards verify POOL`"
        )
    sizes = part_sizes(work, split_bytes=split_bytes, batch_size=batch_size)
    expected = estimate(probes, sizes, actors=chosen.actors, batch_size=batch_size)
    forecast = _forecast(
        layout, teacher, chosen, expected, sum_counters(found), startup_s,
        batch_size=batch_size, shards=len(todo), probed=len(tasks), price=price_per_hour,
        probe_s=time.monotonic() - began,
    )  # fmt: skip
    if layout is not None:
        _refuse_small_disk(layout, expected)
        write_forecast(layout, forecast)
    return forecast


def _refuse_small_disk(layout: RunLayout, expected: Estimate) -> None:
    if not storage.is_local(layout.root):
        return
    place = layout.root
    while not storage.exists(place):
        place = os.path.dirname(place)
    free, needed = shutil.disk_usage(place).free, expected.written_bytes.value * DISK_MARGIN
    if needed > free:
        raise UsageError(
            f"--out {layout.root}: the output will take about {needed / 1e9:,.1f} GB, and "
            f"{free / 1e9:,.1f} GB are free there; choose another place"
        )


def _forecast(
    layout: RunLayout | None,
    teacher: Teacher,
    chosen: Plan,
    expected: Estimate,
    counters: dict[str, float],
    startup_s: float,
    *,
    batch_size: int,
    shards: int,
    probed: int,
    price: float | None,
    probe_s: float,
) -> Forecast:
    seconds = {stage: counters.get(stage, 0.0) for stage in STAGES}
    total = sum(seconds.values()) or 1.0
    gpu = chosen.device.startswith("cuda")
    units = chosen.actors * (1 if gpu else chosen.threads)
    hours = total_wall(startup_s, expected.work_s).scaled(units / 3600)
    forecast = Forecast(
        run=layout.root if layout else "",
        teacher=teacher.name,
        shards=shards,
        startup_s=startup_s,
        estimate=expected,
        bound_by=max(seconds, key=lambda stage: seconds[stage]),
        stage_share={stage: seconds[stage] / total for stage in STAGES},
        executor=chosen.executor,
        actors=chosen.actors,
        threads=chosen.threads,
        device=chosen.device,
        batch_size=batch_size,
        probed_actors=probed,
        probe_s=probe_s,
        unit="GPU" if gpu else "core",
        unit_hours=hours,
        cost=hours.scaled(price) if price is not None else None,
        at=now(),
    )
    return replace(forecast, warnings=_warnings(forecast, counters))


def _warnings(forecast: Forecast, counters: dict[str, float]) -> list[str]:
    told = []
    work = forecast.estimate
    if forecast.actors > forecast.probed_actors:
        rate = work.read_bytes / work.work_s.value if work.work_s.value else 0.0
        told.append(
            f"{forecast.probed_actors} of {forecast.actors} workers were probed; all of them need "
            f"{rate / 1e6:,.0f} MB/s from the storage"
        )
    if forecast.actors > forecast.shards:
        told.append(
            f"{forecast.actors} workers for {forecast.shards} shards: some have nothing to do "
            "unless large shards are split"
        )
    failed, images = counters.get("failed", 0.0), counters.get("images", 0.0)
    if images and failed / images > 0.01:
        told.append(f"{failed / images:.1%} of the probed images failed")
    if counters.get("bad_shards"):
        told.append(f"{counters['bad_shards']:.0f} of the probed shards cannot be read")
    return told


def _note(hands: Sequence[Sequence[ShardEntry]], chosen: Plan, seconds: float) -> str:
    return (
        f"probing {len(hands)} of {chosen.actors} {chosen.executor} workers "
        f"for about {seconds:g} s each"
    )
