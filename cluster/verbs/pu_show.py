"""`pu show`: what a run's PU classifiers are, from the reports of their fits."""

from __future__ import annotations

from cluster.pu_report import PUFitReport, read_report
from selector.tables.facts import fact_tables, find_fact
from selector.tables.layout import RunLayout
from shards.errors import StorageError


def pu_show(run: str, *, which: str | None = None) -> list[PUFitReport]:
    """The reports of all PU tables, oldest first, or that of one.

    Args:
        run: Run directory.
        which: Id or name of a table.

    Raises:
        UsageError: the run has no such table.
        StorageError: its report is missing or damaged.
    """
    layout = RunLayout(run)
    tables = [find_fact(layout, "pu", which)] if which else fact_tables(layout, "pu")
    if not tables:
        find_fact(layout, "pu")  # says that there is none, and how to make one
    reports = []
    for table in tables:
        report = read_report(layout, table.fact_id)
        if report is None:
            raise StorageError(
                f"{layout.pu_dir(table.fact_id)} has no report.json: the fit was interrupted, or "
                "it was removed; run the same `coursepack pu fit` again"
            )
        reports.append(report)
    return reports
