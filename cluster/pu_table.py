"""Scoring a pool with a PU classifier and declaring the table, under the run's lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cluster.progress import OnProgress, Progress
from cluster.run_lock import RunLock
from selector.pu.classifier import HeadClassifier
from selector.pu.score import score_parts
from selector.tables.facts import FactTable, fact_tables, write_fact_table
from selector.tables.layout import RunLayout, check_fact_name
from shards.errors import UsageError

Tell = Callable[[str, int, int], None]


def commit_scores(
    layout: RunLayout,
    features: FactTable,
    classifier: HeadClassifier,
    pu_id: str,
    *,
    about: Mapping[str, Any],
    name: str,
    tell: Tell,
    before: Callable[[], None] | None = None,
) -> tuple[FactTable, int]:
    """Score what is not scored yet; from then on the table is the newest of its kind.

    Args:
        before: what else to write while the lock is held, first.

    Returns:
        The table, and how many parts were scored now.

    Raises:
        RunLocked: another driver works on the run.
        UsageError, StorageError: as `score_parts`.
    """
    with RunLock(layout.lock) as lock:
        if before is not None:
            before()
        parts, made = score_parts(
            layout, features, classifier, pu_id, on_part=lambda d, n: tell("scoring", d, n)
        )
        lock.check()
        table = write_fact_table(
            layout, "pu", pu_id, parts, about=about, name=name, inputs=features.table.inputs
        )
    return table, made


def checked_name(layout: RunLayout, pu_id: str, name: str) -> str:
    """The name of a table before anything is computed for it; its own if none is asked for.

    Raises:
        UsageError: it cannot be one, or another table has it.
    """
    tables = fact_tables(layout, "pu")
    if not name:
        return next((table.name for table in tables if table.fact_id == pu_id), "")
    check_fact_name(name)
    for table in tables:
        if table.name == name and table.fact_id != pu_id:
            raise UsageError(
                f"the run has pu called {name!r} already (id {table.fact_id}), made from something "
                "else; choose another --name"
            )
    return name


def teller(on_progress: OnProgress | None) -> Tell:
    """Progress of a fit: one line when another kind of work begins, then steps of it."""
    last = ""

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        if on_progress is not None:
            note = what if what != last else ""
            last = what
            on_progress(Progress(done, total, unit="steps", note=note))

    return tell
