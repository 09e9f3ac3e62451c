"""`report`: a selection as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cluster.progress import OnProgress
from cluster.verbs.map import map as make_map
from selector.report.page import report as write_report
from selector.tables.facts import fact_tables
from selector.tables.layout import RunLayout


def report(
    run: str,
    *,
    selection: str,
    compare: str | None = None,
    students: Sequence[str] = (),
    with_map: bool | None = None,
    out: str | None = None,
    on_warning: Callable[[str], None] | None = None,
    on_progress: OnProgress | None = None,
) -> str:
    """Draw a selection and whatever else the run knows of it; return where the file is.

    Args:
        run: Run directory.
        selection: Name of a selection of the run.
        compare: Another selection, to show what only one of the two has.
        students: Folders written by `coursepack distill`, to show how these students trained.
        with_map: None = show the newest map if the run has one; True = make one if it has none;
            False = leave it out, for a small file.
        out: The file; None = `report/<selection>.html` in the run.
        on_warning: Called with each reason why images cannot be shown; the page tells it too.

    Raises:
        UsageError: not a run, no selection of that name, or a map cannot be made.
        StorageError: a table cannot be read, or the file cannot be written.
    """
    if with_map and not fact_tables(RunLayout(run), "map"):
        chosen = [name for name in (selection, compare) if name is not None]
        make_map(run, selections=chosen, on_progress=on_progress)
    return write_report(
        run,
        selection,
        out,
        compare=compare,
        students=students,
        leave_out={"map"} if with_map is False else (),
        on_warning=on_warning,
    )
