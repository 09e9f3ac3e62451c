"""The middle of `score`: every part that is to do goes to a worker, and what comes back is kept."""

from __future__ import annotations

from collections.abc import Sequence

from cluster import quarantine
from cluster.bad_budget import BadBudget
from cluster.dispatch import Finished, Outcome, Quarantined, Standing
from cluster.execution import Plan, run_tasks, worker_pool
from cluster.failure_budget import check_images, check_parts
from cluster.in_flight import InFlight
from cluster.local_executor import Standby
from cluster.patience import patiently
from cluster.pool_manifest import PoolState
from cluster.progress import OnProgress, Progress, RunFacts
from cluster.run_lock import RunLock
from cluster.runs import Run
from cluster.score_report import Tally
from cluster.score_stage import ScoreStage
from cluster.surveys import SurveyTask
from selector.scoring.task import ScoreTask


def run_parts(
    run: Run,
    stage: ScoreStage,
    plan: Plan,
    state: PoolState,
    tasks: Sequence[ScoreTask | SurveyTask],
    tally: Tally,
    on_progress: OnProgress,
    *,
    budget: BadBudget,
    lock: RunLock,
    warnings: Sequence[str],
    standby: Standby | None = None,
) -> None:
    """Do the tasks; `tally` counts them.

    Raises:
        RunAborted: every part would fail alike.
        BudgetExceeded: too much fails.
        RunLocked: another driver has taken the run over.
    """
    total = sum(entry.num_bytes for entry in state.manifest.entries)
    total -= sum(entry.num_bytes for entry in state.left_out)
    kept = total - sum(task.num_bytes for task in tasks)
    if not tasks:
        return
    held = quarantine.held_parts(run.layout)
    notes = [*warnings, *_again(held), _start_note(plan, len(tasks))]
    for note in notes:
        on_progress(Progress(kept, total, note=note))
    news = InFlight(run.layout, epoch=lock.epoch)
    standing: Standing | None = None
    try:
        with worker_pool(plan, stage, standby=standby) as pool:
            for outcome in run_tasks(pool, tasks, plan):
                note = tally.add(outcome)
                _keep(outcome, run, held)
                images = int(tally.counters.get("images", 0))
                standing = outcome if isinstance(outcome, Standing) else standing
                done, facts = kept + tally.num_bytes, _facts(standing, tally, len(tasks))
                on_progress(Progress(done, total, images=images, note=note, facts=facts))
                if isinstance(outcome, Standing):
                    news.tell(outcome, repeated=tally.repeated, quarantined=len(tally.quarantined))
                lock.check_lost()
                check_parts(quarantined=len(tally.quarantined), ended=tally.ended)
                check_images(
                    budget,
                    failed=int(tally.counters.get("failed", 0)),
                    seen=images,
                    bytes_done=tally.num_bytes,
                    bytes_total=total - kept,
                )
    finally:
        news.close()


def _facts(standing: Standing | None, tally: Tally, parts: int) -> RunFacts:
    """What is shown and measured of a run that goes on."""
    return RunFacts(
        workers=standing.workers if standing else 0,
        starting=standing.starting if standing else 0,
        in_flight=len(standing.in_hand) if standing else 0,
        parts_done=tally.parts,
        parts=parts,
        repeated=tally.repeated,
        quarantined=len(tally.quarantined),
        worker_deaths=standing.deaths if standing else 0,
        counters=tally.counters,
    )


def _keep(outcome: Outcome, run: Run, held: set[str]) -> None:
    """Record what could not be done, and forget the record of what could after all."""
    if isinstance(outcome, Quarantined):
        patiently(lambda: quarantine.put(run.layout, outcome))
        held.add(outcome.task.name)
    elif isinstance(outcome, Finished) and outcome.task.name in held:
        held.discard(outcome.task.name)
        patiently(lambda: quarantine.release(run.layout, outcome.task.name))


def _again(held: set[str]) -> list[str]:
    if not held:
        return []
    first, more = min(held), f" and {len(held) - 1:,} more" if len(held) > 1 else ""
    return [f"quarantined by an earlier call and tried again: part {first}{more}"]


def _start_note(plan: Plan, parts: int) -> str:
    return (
        f"scoring {parts} shard{'s' if parts != 1 else ''} with {plan.actors} "
        f"{plan.executor} worker{'s' if plan.actors != 1 else ''}, "
        f"{plan.threads} thread{'s' if plan.threads != 1 else ''} each, on {plan.device}"
    )
