"""Features of a scored pool: what is still to be done, and which table it becomes.

Features have markers of their own, so that they may be added to a run that is scored, and continue
by themselves when they are interrupted. Scores and members stay the bytes that they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from cluster.execution import Plan
from cluster.ledger import Ledger, Marker, short_hash
from cluster.pca_sample import find_pca
from cluster.runs import Run
from cluster.score_stage import ScoreStage
from cluster.surveys import Divisions
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.features import KIND, FeaturePlan, choose_taps, make_feature_plan
from selector.scoring.task import ScoreTask
from selector.tables.facts import fact_tables, write_fact_table
from selector.tables.layout import RunLayout
from selector.teachers.load import Teacher
from selector.teachers.open_runtime import describe_runtime
from shards import storage
from shards.errors import UsageError
from shards.manifest import ShardEntry

PartMarkers = Mapping[str, Marker]
"""Part name -> its marker."""


def features_ledger(layout: RunLayout, fact_id: str) -> Ledger:
    """The markers of one table of features."""
    return Ledger(storage.join(layout.ledger_dir, f"{KIND}-{fact_id}"))


def prepare_features(
    run: Run,
    stage: ScoreStage,
    plan: Plan,
    teacher: Teacher,
    spec: FeatureSpec,
    entries: Sequence[ShardEntry],
    *,
    say: Callable[[str], None],
) -> ScoreStage:
    """`stage` that stores features too; principal components are fitted if the run has none.

    Raises:
        UsageError: no taps, or taps that the teacher does not have; too many components; a name
            that other features have.
    """
    taps = choose_taps(spec, teacher)
    assert stage.spec.runtime != "auto"
    runtime = describe_runtime(stage.spec.runtime, teacher, taps=taps, device=stage.device)
    features = make_feature_plan(teacher, runtime, taps)
    if spec.pca_dim is not None:
        full = replace(stage, features=features)
        pca = find_pca(run, full, plan, entries, dim=spec.pca_dim, say=say)
        features = make_feature_plan(teacher, runtime, taps, pca=pca)
    check_name(run, features, spec.name)
    ledger = features_ledger(run.layout, features.fact_id)
    _drop_stale(run, ledger)
    return replace(stage, features=features, features_ledger=ledger.folder)


def parts_without_features(run: Run, plan: FeaturePlan) -> list[Marker]:
    """Scored parts that have no features of this plan yet, in order."""
    scored, have = run.ledger.listing(), features_ledger(run.layout, plan.fact_id).listing()
    return [scored[part] for part in sorted(scored) if not is_done(scored[part], have)]


def feature_tasks(
    run: Run, plan: FeaturePlan, entries: Sequence[ShardEntry], divisions: Divisions
) -> list[ScoreTask]:
    """One task for every part that has scores but no features, and whose shard is there."""
    there = {entry.shard_id: entry for entry in entries}
    starts = sorted(_place(part) for part in run.ledger.listing())
    following = dict(pairwise(starts))
    tasks = []
    for marker in parts_without_features(run, plan):
        shard, start = place = _place(marker.part)
        after, stop = following.get(place, (-1, 0))
        if shard not in there:
            continue
        division = divisions.get(shard)
        tasks.append(
            ScoreTask(
                shard=there[shard],
                start=start,
                stop=stop if after == shard else None,
                run=run.root,
                facts_only=True,
                version=marker.version,
                survey="" if division is None else division.uri,
                pieces=1 if division is None else division.count,
            )
        )
    return tasks


def commit_features(run: Run, plan: FeaturePlan, name: str) -> None:
    """Declare the parts that are done as the newest table of features."""
    name = name or known_name(run.layout, plan.fact_id)
    _declare(run, plan.fact_id, plan.about, name)


def retire_stale(run: Run) -> None:
    """Take parts out of tables of features whose scores were made anew since: rows may differ."""
    for fact in fact_tables(run.layout, KIND):
        if _drop_stale(run, features_ledger(run.layout, fact.fact_id)):
            _declare(run, fact.fact_id, fact.about, fact.name)


def _declare(run: Run, fact_id: str, about: Mapping[str, Any], name: str) -> None:
    scored, have = run.ledger.listing(), features_ledger(run.layout, fact_id).listing()
    done = {part: have[part] for part in scored if _same_bytes(scored[part], have)}
    if done:
        write_fact_table(
            run.layout,
            KIND,
            fact_id,
            [run.layout.facts_part(KIND, fact_id, marker.scores_name) for marker in done.values()],
            about=about,
            name=name,
            inputs=short_hash(" ".join(sorted(marker.file_name for marker in done.values()))),
        )


def _drop_stale(run: Run, ledger: Ledger) -> bool:
    """Remove markers of features of bytes that are gone; whether there were any."""
    scored = run.ledger.listing()
    stale = [
        marker
        for marker in ledger.listing().values()
        if marker.part not in scored or scored[marker.part].etag != marker.etag
    ]
    for marker in stale:
        ledger.remove(marker)
    return bool(stale)


def check_name(run: Run, plan: FeaturePlan, name: str) -> None:
    """Refuse a name before anything is computed.

    Raises:
        UsageError: other features have it.
    """
    for fact in fact_tables(run.layout, KIND):
        if name and fact.name == name and fact.fact_id != plan.fact_id:
            raise UsageError(
                f"the run has features called {name!r} already (id {fact.fact_id}), made from "
                "something else; choose another features.name"
            )


def known_name(layout: RunLayout, fact_id: str) -> str:
    """A later call without a name keeps that of the first."""
    names = [fact.name for fact in fact_tables(layout, KIND) if fact.fact_id == fact_id]
    return names[0] if names else ""


def _place(part: str) -> tuple[int, int]:
    """(shard_id, first index) of a part, from its name."""
    return int(part[:8]), int(part[9:17])


def _same_bytes(scored: Marker, have: PartMarkers) -> bool:
    """Whether a part has features of the bytes that its scores were made of."""
    marker = have.get(scored.part)
    return marker is not None and marker.etag == scored.etag


def is_done(scored: Marker, have: PartMarkers) -> bool:
    """Whether its features are those of its newest version too: rows may have been mended."""
    return _same_bytes(scored, have) and have[scored.part].version == scored.version
