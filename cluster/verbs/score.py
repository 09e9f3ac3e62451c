"""`score`: a teacher over every shard of a pool; continues by itself, loses and doubles nothing."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.bad_budget import BadBudget
from cluster.dispatch import Finished, Outcome, Quarantined, Waiting, dispatch
from cluster.execution import ExecutionConfig, Plan, choose_device, make_plan, worker_pool
from cluster.metrics import Throughput, sum_counters, throughput
from cluster.pool_manifest import (
    PoolState,
    check_markers,
    compare,
    read_manifest,
    write_manifest,
)
from cluster.progress import OnProgress, Progress
from cluster.provenance import now
from cluster.run_lock import RunLock
from cluster.runs import Run, open_run
from cluster.score_stage import ScoreStage
from selector.scoring.shard_scorer import ScoreTask
from selector.scoring.spec import ScoreSpec, semantic_dict
from selector.tables.layout import RunLayout
from selector.tables.read import dataset
from selector.tables.write import write_table_list
from selector.teachers.load import Teacher, load_teacher
from shards import atomic, storage
from shards.errors import CoursepackError, UsageError


@dataclass(frozen=True)
class ScoreReport:
    """What a call to `score` did, and what the run holds now.

    Attributes:
        parts_done, parts_kept: Parts scored by this call; parts that were done before.
        rows: Rows of the scores table, failed images included.
        statuses: Rows by status.
        quarantined: Shards that could not be scored, each with `uri`, `reason`, `tries`.
        damaged: Shards that break off: their readable images are rows.
        warnings: What a person should know; also printed.
        exit_code: 0, or 3 when shards are quarantined or damaged or the bad budget is exceeded.
    """

    run: str
    parts_done: int
    parts_kept: int
    rows: int
    statuses: dict[str, int]
    quarantined: list[dict[str, Any]]
    damaged: list[str]
    warnings: list[str]
    throughput: Throughput
    exit_code: int = 0

    def to_dict(self) -> dict[str, Any]:
        return self.__dict__ | {"throughput": self.throughput.to_dict()}


@dataclass
class _Tally:
    """What this call has done so far."""

    parts: int = 0
    num_bytes: int = 0
    counters: dict[str, float] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)

    def add(self, outcome: Outcome) -> str:
        """Count one outcome and return the line to log about it, if any."""
        if isinstance(outcome, Finished):
            self.parts += 1
            self.num_bytes += outcome.task.num_bytes
            self.counters = sum_counters([self.counters, outcome.result.counters])
            return ""
        if isinstance(outcome, Waiting):
            return outcome.reason
        if isinstance(outcome, Quarantined):
            self.quarantined.append(outcome)
            return _describe(outcome)
        return f"part {outcome.task.name} goes round again: {outcome.failure.message}"

    def quarantined_list(self) -> list[dict[str, Any]]:
        return [
            {
                "part": outcome.task.name,
                "reason": _describe(outcome),
                "kind": outcome.failure.kind,
                "tries": outcome.tries,
                "traceback": outcome.failure.traceback,
            }
            for outcome in self.quarantined
        ]


def _describe(outcome: Quarantined) -> str:
    tries = f"{outcome.tries} tr{'ies' if outcome.tries != 1 else 'y'}"
    return (
        f"part {outcome.task.name} is quarantined after {tries}: {outcome.failure.message} "
        "(mend it and run the same command: only what is missing is scored)"
    )


def score(
    pool: Sequence[str],
    *,
    spec: ScoreSpec,
    out: str,
    execution: ExecutionConfig | None = None,
    max_bad: str = "5%",
    on_progress: OnProgress | None = None,
) -> ScoreReport:
    """Score every image of `pool` with a teacher and write the facts to the run `out`.

    Calling it again continues: finished shards are neither read nor rewritten, new shards of the
    pool are added. Killing it at any moment loses the parts in flight only.

    Args:
        pool: Directories, globs, brace patterns or URIs of tar shards.
        spec: Teacher, weights, limits: the semantic half, fixed for a run.
        out: The run directory, local or remote.
        execution: Where and how wide to run; see `ExecutionConfig`.
        max_bad: Failed images allowed, as a share (`5%`) or a count, before the exit code is 3.
        on_progress: Called now and then from this thread.

    Raises:
        UsageError: wrong weights, another configuration than the run's, no shards.
        RunLocked: another driver works on this run.
        CoursepackError: a shard changed since it was scored; storage or disk trouble.
    """
    execution = execution or ExecutionConfig()
    budget = BadBudget.parse(max_bad)
    listing = storage.expand(list(pool))
    teacher = load_teacher(spec.teacher_spec)
    layout = RunLayout(out)
    _refuse_foreign_folder(layout)
    with RunLock(layout.lock) as lock:
        run = open_run(
            layout.root,
            semantic=semantic_dict(spec, teacher),
            execution=_with_defaults(execution, layout, teacher),
            facts=_facts(spec, teacher),
        )
        _remove_leftovers(layout)
        done, stored = run.ledger.listing(), read_manifest(layout)
        check_markers(stored, done)
        state = compare(stored, listing, done)
        for marker in state.mended:
            run.ledger.remove(marker)
        write_manifest(layout, state.manifest)
        plan = make_plan(execution, device=run.execution["device"])
        stage = ScoreStage(
            spec=spec,
            teacher_fingerprint=teacher.fingerprint,
            semantic_hash=run.semantic_hash,
            ledger_folder=layout.ledger_dir,
            batch_size=run.execution["batch_size"],
            threads=plan.threads,
            device=plan.device,
        )
        tally, started = _Tally(), time.monotonic()
        try:
            _run_parts(run, stage, plan, state, tally, on_progress or _ignore)
        except BaseException:
            # Whatever ended the loop, what is done is readable, if that can still be written.
            with contextlib.suppress(CoursepackError):
                _commit_tables(run, lock)
            raise
        _commit_tables(run, lock)
        wall_s = time.monotonic() - started
        speed = throughput(tally.counters, wall_s=wall_s, workers=plan.actors)
        if tally.parts:
            _write_throughput(layout, speed)
        return _report(run, state, tally, budget, speed)


def _ignore(_: Progress) -> None:
    """The progress callback of a caller that gave none."""


def _with_defaults(
    execution: ExecutionConfig, layout: RunLayout, teacher: Teacher
) -> dict[str, Any]:
    """What the run stores: asked for, else stored before (None), else chosen here, once."""
    asked = execution.stored()
    if storage.exists(layout.config):
        return asked
    device = choose_device(execution.device)
    return {
        "device": device,
        "batch_size": execution.batch_size or _batch_size(teacher, device),
    }


def _batch_size(teacher: Teacher, device: str) -> int:
    """Images per forward pass: 64 stay in a CPU's caches; a GPU gets about 25 million pixels."""
    if device == "cpu":
        return 64
    _, height, width = teacher.preprocessing.input_size
    return int(min(2048, max(64, 2 ** ((25_600_000 // (height * width)).bit_length() - 1))))


def _facts(spec: ScoreSpec, teacher: Teacher) -> dict[str, Any]:
    return {
        "teacher": {
            "name": teacher.name,
            "weights": spec.teacher.weights,
            "fingerprint": teacher.fingerprint,
            "num_classes": teacher.num_classes,
        },
        "class_names": teacher.class_names,
    }


def _refuse_foreign_folder(layout: RunLayout) -> None:
    if "/runtime_resources/working_dir_files/" in layout.root:
        raise UsageError(
            f"--out {layout.root} lies in the copy of the working directory that Ray made for this "
            "job and deletes after it; give an absolute path or URI on shared storage"
        )
    if storage.exists(layout.config) or not storage.exists(layout.root):
        return
    others = [storage.name(info.uri) for info in storage.list_files(layout.root)]
    if others:
        raise UsageError(
            f"--out {layout.root} holds files ({', '.join(others[:3])}) but no run; "
            "choose an empty or new folder"
        )


def _remove_leftovers(layout: RunLayout) -> None:
    """Clear temporary files of killed workers. Only the holder of the lock may."""
    if storage.is_local(layout.root):
        for folder in (layout.scores_dir, layout.members_dir, layout.ledger_dir):
            for leftover in Path(folder).glob(".*.tmp"):
                leftover.unlink(missing_ok=True)


def _run_parts(
    run: Run,
    stage: ScoreStage,
    plan: Plan,
    state: PoolState,
    tally: _Tally,
    on_progress: OnProgress,
) -> None:
    tasks = [ScoreTask(shard=entry, run=run.root) for entry in state.todo]
    total = sum(entry.num_bytes for entry in state.manifest.entries)
    kept = total - sum(task.num_bytes for task in tasks)
    if not tasks:
        return
    on_progress(Progress(kept, total, note=_start_note(plan, len(tasks))))
    with worker_pool(plan, stage) as pool:
        for outcome in dispatch(pool, tasks, workers=plan.actors):
            note = tally.add(outcome)
            images = int(tally.counters.get("images", 0))
            on_progress(Progress(kept + tally.num_bytes, total, images=images, note=note))


def _start_note(plan: Plan, parts: int) -> str:
    return (
        f"scoring {parts} shard{'s' if parts != 1 else ''} with {plan.actors} "
        f"{plan.executor} worker{'s' if plan.actors != 1 else ''}, "
        f"{plan.threads} thread{'s' if plan.threads != 1 else ''} each, on {plan.device}"
    )


def _commit_tables(run: Run, lock: RunLock) -> None:
    lock.check()
    parts = sorted(run.ledger.listing())
    if parts:
        write_table_list(run.layout, "scores", map(run.layout.scores_part, parts))
        write_table_list(run.layout, "members", map(run.layout.members_part, parts))


def _report(
    run: Run, state: PoolState, tally: _Tally, budget: BadBudget, speed: Throughput
) -> ScoreReport:
    done = run.ledger.listing()
    statuses = _count_statuses(run.layout) if done else {}
    rows = sum(statuses.values())
    bad = rows - statuses.get("ok", 0)
    entries = state.manifest.entries
    damaged = [entries[int(part[:8])].uri for part in sorted(done) if done[part].damaged]
    warnings = [
        f"shard {entry.uri} is scored but no longer there; its facts stand, its images cannot be "
        "exported or shown"
        for entry in state.missing
    ]
    warnings += [f"shard {uri} breaks off: mend it and run the same command" for uri in damaged]
    quarantined = tally.quarantined_list()
    warnings += [item["reason"] for item in quarantined]
    over_budget = not budget.allows(bad, rows)
    if over_budget:
        warnings.append(f"{bad:,} of {rows:,} images failed, more than --max-bad {budget} allows")
    return ScoreReport(
        run=run.root,
        parts_done=tally.parts,
        parts_kept=len(done) - tally.parts,
        rows=rows,
        statuses=statuses,
        quarantined=quarantined,
        damaged=damaged,
        warnings=warnings,
        throughput=speed,
        exit_code=3 if over_budget or damaged or quarantined else 0,
    )


def _count_statuses(layout: RunLayout) -> dict[str, int]:
    """Rows by status, streamed: no more than a batch of one column is in memory."""
    counts: Counter[str] = Counter()
    for batch in dataset(layout, "scores").to_batches(columns=["status"]):
        for item in batch.column(0).value_counts().to_pylist():
            counts[item["values"]] += item["counts"]
    return dict(sorted(counts.items()))


def _write_throughput(layout: RunLayout, speed: Throughput) -> None:
    """Append this call's rates to `report/throughput.jsonl`."""
    uri = storage.join(layout.report_dir, "throughput.jsonl")
    before = storage.read_bytes(uri) if storage.exists(uri) else b""
    line = json.dumps({"at": now(), **speed.to_dict()}, sort_keys=True)
    atomic.write_bytes(uri, before + line.encode() + b"\n")
