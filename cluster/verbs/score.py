"""`score`: a teacher over every shard of a pool; continues by itself, loses and doubles nothing."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cluster.bad_budget import BadBudget
from cluster.batch_size import default_batch_size
from cluster.execution import (
    ExecutionConfig,
    choose_device,
    make_plan,
)
from cluster.feature_pass import (
    commit_features,
    feature_tasks,
    prepare_features,
    retire_stale,
)
from cluster.feature_report import feature_warnings, lagging_features, report_features
from cluster.ledger import short_hash
from cluster.local_executor import Standby
from cluster.metric_export import exported
from cluster.metrics import Throughput, throughput
from cluster.out_folder import refuse_no_folder
from cluster.patience import patiently
from cluster.pool_manifest import (
    PoolState,
    check_markers,
    compare,
    follow_moves,
    read_manifest,
    write_manifest,
)
from cluster.progress import OnProgress, ignore, say_to
from cluster.provenance import now
from cluster.retry_failed import retry_tasks
from cluster.run_lock import RunLock
from cluster.runs import Run, open_run
from cluster.runtime_choice import choose_runtime
from cluster.score_parts import run_parts
from cluster.score_report import ScoreReport, Tally, make_report, pool_warnings
from cluster.score_stage import ScoreStage
from cluster.status_counts import carried_forward
from cluster.surveys import read_divisions, tasks_for
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.features import FeaturePlan
from selector.scoring.spec import ScoreSpec, semantic_dict
from selector.tables.compaction import retire_compacted
from selector.tables.layout import RunLayout
from selector.tables.write import write_table_list
from selector.teachers.load import Teacher, load_teacher
from shards import atomic, storage
from shards.errors import CoursepackError, UsageError
from shards.manifest import ShardEntry

DEFAULT_SPLIT = 1 << 30
"""Bytes of a shard above which it is scored in parts, unless told otherwise."""


def score(
    pool: Sequence[str],
    *,
    spec: ScoreSpec,
    out: str,
    execution: ExecutionConfig | None = None,
    max_bad: str = "5%",
    features: FeatureSpec | None = None,
    retry_failed: bool = False,
    on_progress: OnProgress | None = None,
    standby: Standby | None = None,
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
        features: Stage features to store beside the scores, from the same pass; parts that are
            scored already get them in a pass of their own, their scores stay as they are.
        retry_failed: Do failed rows of finished parts again, and nothing else of them; what
            changes becomes a new version of the part.
        on_progress: Called now and then from this thread.
        standby: Workers that were started in advance (`cluster.execution.standby_workers`).

    Raises:
        UsageError: wrong weights, another configuration than the run's, no shards.
        RunLocked: another driver works on this run.
        BudgetExceeded: far too much fails; stopped early.
        CoursepackError: a shard changed since it was scored; storage or disk trouble.
    """
    if retry_failed and features is not None:
        raise UsageError("--retry-failed and --features go one after the other; retry first")
    execution = execution or ExecutionConfig()
    budget = BadBudget.parse(max_bad)
    choose_device(execution)  # a wrong one is told before anything is begun, also of an old run
    listing = storage.expand(list(pool))
    teacher = load_teacher(spec.teacher_spec)
    layout = RunLayout(out)
    _refuse_foreign_folder(layout)
    tell = on_progress or ignore
    with RunLock(layout.lock) as lock:
        wanted = patiently(lambda: _with_defaults(execution, layout, teacher))
        choice = patiently(
            lambda: choose_runtime(spec, teacher, layout, execution=wanted, say=say_to(tell))
        )
        spec = choice.spec
        run = patiently(
            lambda: open_run(
                layout.root,
                semantic=semantic_dict(spec, teacher, device=choice.device),
                execution=wanted,
                facts=_facts(spec, teacher) | choice.facts,
            )
        )
        _remove_leftovers(layout)
        done = patiently(run.ledger.listing)
        stored = patiently(lambda: read_manifest(layout))
        check_markers(stored, done)
        stored, moved = follow_moves(stored, listing)
        state = compare(stored, listing, done, read_divisions(layout, stored))
        warnings = pool_warnings(state, moved)
        again = {marker.part for marker in state.mended}
        for marker in state.mended:
            run.ledger.remove(marker)
        patiently(lambda: write_manifest(layout, state.manifest))
        split_bytes = run.execution.get("split_bytes") or 0
        parts = num_parts(state.todo or _present(state), split_bytes=split_bytes)
        plan = make_plan(execution, device=run.execution["device"], parts=parts)
        stage = ScoreStage(
            spec=spec,
            teacher_fingerprint=teacher.fingerprint,
            semantic_hash=run.semantic_hash,
            ledger_folder=layout.ledger_dir,
            batch_size=run.execution["batch_size"],
            threads=plan.threads,
            device=plan.device,
        )
        if features is not None:
            stage = prepare_features(
                run, stage, plan, teacher, features, _present(state), say=say_to(tell)
            )
        name = features.name if features is not None else ""
        tally, started = Tally(), time.monotonic()
        try:
            tasks = tasks_for(
                state.todo, read_divisions(layout, state.manifest), done.keys() - again,
                run=run.root, split_bytes=split_bytes,
                batch_size=run.execution["batch_size"],
            )  # fmt: skip
            if retry_failed:
                tasks += retry_tasks(run, _present(state), done.keys() - again)
            if stage.features is not None:
                divisions = read_divisions(layout, state.manifest)
                tasks += feature_tasks(run, stage.features, _present(state), divisions)
            with exported(tell, layout, on_ray=plan.executor == "ray") as watched:
                run_parts(
                    run, stage, plan, state, tasks, tally, watched,
                    budget=budget, lock=lock, warnings=warnings, standby=standby,
                )  # fmt: skip
        except BaseException:
            # Whatever ended the loop, what is done is readable, if that can still be written.
            with contextlib.suppress(CoursepackError):
                _commit_tables(run, lock, tally, stage.features, name)
            raise
        patiently(lambda: _commit_tables(run, lock, tally, stage.features, name))
        wall_s = time.monotonic() - started
        speed = throughput(tally.counters, wall_s=wall_s, workers=plan.actors)
        if tally.parts:
            _write_throughput(layout, speed)
        if features is None or stage.features is None:
            warnings += lagging_features(run)
            return patiently(
                lambda: make_report(run, state, tally, budget, speed, warnings=warnings)
            )
        found = report_features(run, stage.features, features)
        warnings += feature_warnings(found)
        report = patiently(lambda: make_report(run, state, tally, budget, speed, warnings=warnings))
        return replace(report, features=asdict(found))


def _present(state: PoolState) -> list[ShardEntry]:
    """Shards that can be read."""
    absent = {entry.shard_id for entry in (*state.missing, *state.left_out)}
    return [entry for entry in state.manifest.entries if entry.shard_id not in absent]


def _with_defaults(
    execution: ExecutionConfig, layout: RunLayout, teacher: Teacher
) -> dict[str, Any]:
    """What the run stores: asked for, else stored before (None), else chosen here, once."""
    if storage.exists(layout.config):
        return execution.stored()
    device = choose_device(execution)
    return {
        "device": device,
        "batch_size": execution.batch_size or default_batch_size(teacher.preprocessing, device),
        "split_bytes": DEFAULT_SPLIT if execution.split_bytes is None else execution.split_bytes,
    }


def num_parts(shards: Sequence[ShardEntry], *, split_bytes: int) -> int:
    """Parts that shards will make, about: large ones are divided."""
    sizes = (entry.num_bytes for entry in shards)
    return sum(max(1, size // split_bytes) if split_bytes else 1 for size in sizes)


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
    refuse_no_folder(layout.root)
    if storage.exists(layout.config) or not storage.exists(layout.root):
        return
    others = [storage.name(info.uri) for info in storage.list_files(layout.root)]
    if others:
        raise UsageError(
            f"--out {layout.root} holds files ({', '.join(others[:3])}) but no run; "
            "choose an empty or new folder"
        )


def _remove_leftovers(layout: RunLayout) -> None:
    """Clear temporary files of killed workers. Only the holder of the lock may.

    At the start for those of an earlier call, at the end for those that died in this one.
    """
    if storage.is_local(layout.root):
        for pattern in ("*/.*.tmp", "ledger/*/.*.tmp", "facts/*/*/.*.tmp"):
            for leftover in Path(layout.root).glob(pattern):
                leftover.unlink(missing_ok=True)


def _commit_tables(
    run: Run, lock: RunLock, tally: Tally, features: FeaturePlan | None, name: str
) -> None:
    lock.check()
    _remove_leftovers(run.layout)
    done = run.ledger.listing()
    if done:
        # A part of a mended shard keeps its name; that its content changed, the marker tells.
        inputs = short_hash(" ".join(sorted(marker.file_name for marker in done.values())))
        layout = run.layout
        retire_compacted(layout, {part: marker.file_name for part, marker in done.items()})
        newest = [layout.scores_part(marker.scores_name) for marker in done.values()]
        statuses = carried_forward(run, done, fresh=tally.statuses, fresh_parts=tally.parts)
        write_table_list(layout, "scores", newest, inputs=inputs, statuses=statuses)
        write_table_list(layout, "members", map(layout.members_part, done), inputs=inputs)
    retire_stale(run)
    if features is not None:
        commit_features(run, features, name)


def _write_throughput(layout: RunLayout, speed: Throughput) -> None:
    """Append this call's rates to `report/throughput.jsonl`."""
    uri = storage.join(layout.report_dir, "throughput.jsonl")
    before = storage.read_bytes(uri) if storage.exists(uri) else b""
    line = json.dumps({"at": now(), **speed.to_dict()}, sort_keys=True)
    atomic.write_bytes(uri, before + line.encode() + b"\n")
