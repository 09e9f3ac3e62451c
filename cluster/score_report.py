"""What a call to `score` did, counted while it runs and told at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cluster.bad_budget import BadBudget
from cluster.dispatch import Finished, Outcome, Quarantined, Repeated, Waiting
from cluster.forecast.record import beside_fact
from cluster.halved_batches import halved_note
from cluster.metrics import Throughput
from cluster.pool_manifest import PoolState
from cluster.runs import Run
from cluster.stage import Task
from cluster.status_counts import statuses_of, stored
from cluster.surveys import SurveyTask
from shards import storage
from shards.manifest import ShardEntry
from shards.sample import DAMAGE_KINDS


@dataclass(frozen=True)
class ScoreReport:
    """What a call to `score` did, and what the run holds now.

    Attributes:
        parts_done, parts_kept: Parts scored by this call; parts that were done before.
        rows: Rows of the scores table, failed images included.
        statuses: Rows by status.
        quarantined: Shards that could not be scored, each with `uri`, `part`, `reason`, `kind` of
            error, `tries`, `traceback`.
        damaged: Shards of the pool that break off: their readable images are rows.
        warnings: What a person should know; also printed.
        features: Of a call that asked for some, see `cluster.feature_report.FeatureReport`.
        forecast: What `plan` expected beside what came (`cluster.forecast.record`), or None.
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
    features: dict[str, Any] | None = None
    forecast: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        return self.__dict__ | {"throughput": self.throughput.to_dict()}


@dataclass
class Tally:
    """What this call has done so far."""

    parts: int = 0
    num_bytes: int = 0
    repeated: int = 0
    counters: dict[str, float] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    quarantined: list[Quarantined] = field(default_factory=list)

    def add(self, outcome: Outcome) -> str:
        """Count one outcome and return the line to log about it, if any."""
        if isinstance(outcome, Finished):
            # A survey is no part, but what it found wrong counts.
            if not isinstance(outcome.task, SurveyTask):
                if not _was_scored(outcome.task):
                    self.parts += 1
                    self.statuses.update(statuses_of(outcome.result.counters))
                self.num_bytes += outcome.task.num_bytes
            was_halved = bool(self.counters.get("forward_halved"))
            for name, count in outcome.result.counters.items():
                self.counters[name] = self.counters.get(name, 0.0) + count
            return "" if was_halved else halved_note(self.counters)
        if isinstance(outcome, Waiting):
            return outcome.reason
        if isinstance(outcome, Quarantined):
            self.quarantined.append(outcome)
            return _describe(outcome)
        if isinstance(outcome, Repeated):
            self.repeated += 1
            return f"part {outcome.task.name} goes round again: {outcome.failure.message}"
        return ""

    @property
    def ended(self) -> int:
        """Parts that are done or given up."""
        return self.parts + len(self.quarantined)

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


def _was_scored(task: Task) -> bool:
    """A part that only gets features, or its failed rows anew, was scored before."""
    return bool(getattr(task, "facts_only", False) or getattr(task, "retry", False))


def _describe(outcome: Quarantined) -> str:
    tries = f"{outcome.tries} tr{'ies' if outcome.tries != 1 else 'y'}"
    return (
        f"part {outcome.task.name} is quarantined after {tries}: {outcome.failure.message} "
        "(mend it and run the same command: only what is missing is scored)"
    )


def pool_warnings(state: PoolState, moved: Sequence[ShardEntry]) -> list[str]:
    """What a person should know about the pool, before it is scored and at the end.

    Args:
        moved: Shards that were found in another place than before.
    """
    warnings = []
    if moved:
        warnings.append(
            f"moved, with the same name, size and time: {_first_of(moved)}; the facts are kept"
        )
    if state.missing:
        warnings.append(
            f"scored, but not in the pool as given now: {_first_of(state.missing)}. The facts "
            "stand; where the file is gone, its images cannot be exported or shown"
        )
    if {storage.name(e.uri) for e in state.missing} & {storage.name(e.uri) for e in state.todo}:
        warnings.append(
            "new shards are called like scored ones that are not in the pool as given now: if the "
            "pool was copied, its images enter the tables twice; score it into a new --out"
        )
    if state.left_out:
        warnings.append(
            "listed by an earlier call, never scored, and not in the pool as given now: "
            f"{_first_of(state.left_out)}; not in the tables unless put back"
        )
    return warnings


def _first_of(entries: Sequence[ShardEntry]) -> str:
    more = f" and {len(entries) - 1:,} more" if len(entries) > 1 else ""
    return f"shard {entries[0].uri}{more}"


def make_report(
    run: Run,
    state: PoolState,
    tally: Tally,
    budget: BadBudget,
    speed: Throughput,
    *,
    warnings: Sequence[str] = (),
) -> ScoreReport:
    """What is to tell at the end; `warnings` is what was to tell before."""
    done = run.ledger.listing()
    statuses = stored(run.layout) if done else {}
    rows = sum(statuses.values())
    bad = rows - statuses.get("ok", 0)
    entries = state.manifest.entries
    absent = {entry.uri for entry in state.missing}  # told as such
    damaged_ids = sorted({int(part[:8]) for part in done if done[part].damaged})
    damaged = [uri for uri in (entries[one].uri for one in damaged_ids) if uri not in absent]
    quarantined = [
        {"uri": entries[int(item["part"][:8])].uri, **item} for item in tally.quarantined_list()
    ]
    over_budget = not budget.allows(bad, rows)
    told = [*warnings, *_problem_warnings(tally), *filter(None, [halved_note(tally.counters)])]
    told += [
        f"shard {uri} breaks off, and samples behind the break are missing: mend it and run the "
        "same command"
        for uri in damaged
    ]
    told += [item["reason"] for item in quarantined]
    if over_budget:
        told.append(
            f"{bad:,} of {rows:,} images failed, more than --max-bad {budget} allows; see why: "
            f'coursepack query {run.root} "SELECT shard, key, status, error FROM scores WHERE '
            "status <> 'ok'\""
        )
    return ScoreReport(
        run=run.root,
        parts_done=tally.parts,
        parts_kept=len(done) - tally.parts,
        rows=rows,
        statuses=statuses,
        quarantined=quarantined,
        damaged=damaged,
        warnings=told,
        throughput=speed,
        exit_code=3 if over_budget or damaged or quarantined else 0,
        forecast=beside_fact(run.layout, speed),
    )


def _problem_warnings(tally: Tally) -> list[str]:
    """Oddities of the shards that this call read; damage is told apart, shard by shard."""
    kinds = {
        name.removeprefix("problem_"): int(count)
        for name, count in sorted(tally.counters.items())
        if name.startswith("problem_")
    }
    found = [f"{count:,} {kind}" for kind, count in kinds.items() if kind not in DAMAGE_KINDS]
    if not found:
        return []
    return [
        f"problems in the shards of this call: {', '.join(found)}; `coursepack shards verify POOL` "
        "names each"
    ]
