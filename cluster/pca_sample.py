"""Principal components for a run: fitted once on a fixed sample of the pool, then kept.

The sample is the beginning of shards spread evenly over the pool, read by the same workers as the
pool itself, so that it depends neither on their number nor on who is first. The basis is stored in
the run: shards that are added later are projected on the same axes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from cluster.dispatch import Finished, Quarantined
from cluster.execution import Plan, run_tasks, worker_pool
from cluster.runs import Run
from cluster.score_stage import ScoreStage
from cluster.spread_images import evenly_spread
from selector.scoring.features import KIND, FeaturePlan, basis_uri
from selector.scoring.pca import Pca, fit_pca, read_pca, write_pca
from selector.scoring.task import ScoreTask
from selector.tables.run_files import read_parquet
from selector.tables.vectors import decode_vectors
from shards import storage
from shards.errors import CoursepackError, UsageError
from shards.manifest import ShardEntry

SAMPLE_IMAGES = 4096
"""Enough that the leading components of some thousand features stand; a few minutes on a CPU."""

SAMPLE_SHARDS = 32


def find_pca(
    run: Run,
    stage: ScoreStage,
    plan: Plan,
    entries: Sequence[ShardEntry],
    *,
    dim: int,
    say: Callable[[str], None],
) -> Pca:
    """The run's basis of `dim` components for the features of `stage`, fitted if it has none.

    Args:
        stage: with the full features; its ledger is not touched.
        plan: how the sample is read.
        entries: shards that are there.
        say: told what is going on.

    Raises:
        UsageError: more components than features, or than sound images in the sample.
        CoursepackError: no shard of the sample can be read.
    """
    full = stage.features
    assert full is not None
    if dim > full.dim:
        raise UsageError(f"pca:{dim}, but the teacher has {full.dim} features; ask for fewer")
    uri = basis_uri(run.layout, full, dim)
    if storage.exists(uri):
        return read_pca(uri)
    folder = storage.join(run.root, f".plan-pca-{full.fact_id}-{dim}")
    try:
        sample = _sample(stage, full, plan, entries, folder, say)
    finally:
        _remove(folder)
    pca = fit_pca(sample, dim)
    say(f"{dim} principal components keep {pca.explained:.1%} of the variance of the features")
    write_pca(uri, pca)
    return pca


def sample_tasks(entries: Sequence[ShardEntry], folder: str) -> list[ScoreTask]:
    """The beginnings of up to 32 shards, evenly spread, 4,096 images in all."""
    chosen = evenly_spread(entries, SAMPLE_SHARDS)
    each = -(-SAMPLE_IMAGES // len(chosen))
    return [ScoreTask(shard=entry, stop=each, run=folder) for entry in chosen]


def _sample(
    stage: ScoreStage,
    full: FeaturePlan,
    plan: Plan,
    entries: Sequence[ShardEntry],
    folder: str,
    say: Callable[[str], None],
) -> np.ndarray:
    tasks = sample_tasks(entries, folder)
    say(f"reading up to {SAMPLE_IMAGES:,} images of {len(tasks)} shards to fit components")
    ledger = storage.join(folder, "ledger")
    stage = replace(
        stage,
        # Features are of the teacher's own view, whatever the scores are an average of.
        spec=stage.spec.model_copy(update={"views": "one"}),
        ledger_folder=ledger,
        features_ledger=storage.join(ledger, KIND),
    )
    parts: list[str] = []
    failures: list[str] = []
    with worker_pool(plan, stage) as pool:
        for outcome in run_tasks(pool, tasks, plan):
            if isinstance(outcome, Finished):
                parts.append(outcome.result.paths[-1])
            elif isinstance(outcome, Quarantined):
                failures.append(outcome.failure.message)
    if not parts:
        raise CoursepackError(f"no shard of the sample could be read: {failures[0]}")
    rows = []
    for part in sorted(parts):
        values, valid = decode_vectors(read_parquet(part, cure="run again")[KIND])
        rows.append(values[valid])
    return np.concatenate(rows)


def _remove(folder: str) -> None:
    if storage.is_local(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    for file in storage.list_files(folder, recursive=True):
        storage.remove(file.uri)
