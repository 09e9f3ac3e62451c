"""How a run over many workers stands, for eyes: a few rows on a terminal, a few words in a log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cluster.cli.units import plural
from cluster.metrics import STAGES
from cluster.progress import RunFacts

if TYPE_CHECKING:
    from rich.table import Table


def facts_rows(facts: RunFacts) -> Iterator[tuple[str, str]]:
    """(what, how it stands), only what there is something to tell about."""
    workers = [f"{facts.workers} at work"]
    workers += [f"{facts.starting} starting"] if facts.starting else []
    workers += [f"{facts.worker_deaths} lost so far"] if facts.worker_deaths else []
    yield "workers", ", ".join(workers)
    parts = f"{facts.parts_done:,} of {facts.parts:,} done, {facts.in_flight:,} in hand"
    yield "parts", parts + (f", {facts.repeated:,} repeated" if facts.repeated else "")
    bound = bound_by(facts)
    if bound:
        yield "bound by", bound
    failed = failures(facts)
    if failed:
        yield "failed images", ", ".join(f"{count:,} {status}" for status, count in failed.items())
    if facts.quarantined:
        yield "quarantined", plural(facts.quarantined, "part")


def facts_text(facts: RunFacts) -> list[str]:
    """The same in words for one line of a log: workers, and what went wrong."""
    told = [plural(facts.workers, "worker")]
    failed = sum(failures(facts).values())
    told += [plural(failed, "failed image")] if failed else []
    told += [f"{facts.quarantined} quarantined"] if facts.quarantined else []
    return told


def facts_table(facts: RunFacts) -> Table:
    """The rows below a progress bar."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for what, how in facts_rows(facts):
        table.add_row(Text(what, style="dim"), Text(how))
    return table


def failures(facts: RunFacts) -> dict[str, int]:
    """Images that failed, by status, the most frequent first."""
    found = {
        name.removeprefix("status_"): int(count)
        for name, count in facts.counters.items()
        if name.startswith("status_") and name != "status_ok" and count
    }
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def bound_by(facts: RunFacts) -> str:
    """What the workers waited for most so far, and its share; "" before the first part."""
    seconds = {stage: facts.counters.get(stage, 0.0) for stage in STAGES}
    total = sum(seconds.values())
    if not total:
        return ""
    most = max(seconds, key=lambda stage: seconds[stage])
    return f"{STAGES[most]} ({seconds[most] / total:.0%} of worker time)"
