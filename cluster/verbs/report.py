"""`report`: a selection as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from selector.report.page import report as write_report


def report(
    run: str,
    *,
    selection: str,
    compare: str | None = None,
    students: Sequence[str] = (),
    out: str | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> str:
    """Draw a selection and whatever else the run knows of it; return where the file is.

    Args:
        run: Run directory.
        selection: Name of a selection of the run.
        compare: Another selection, to show what only one of the two has.
        students: Folders written by `coursepack distill`, to show how these students trained.
        out: The file; None = `report/<selection>.html` in the run.
        on_warning: Called with each reason why images cannot be shown; the page tells it too.

    Raises:
        UsageError: not a run, or no selection of that name.
        StorageError: a table cannot be read, or the file cannot be written.
    """
    return write_report(
        run, selection, out, compare=compare, students=students, on_warning=on_warning
    )
