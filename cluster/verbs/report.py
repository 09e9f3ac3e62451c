"""`report`: a selection as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Callable

from selector.report.page import report as write_report


def report(
    run: str,
    *,
    selection: str,
    out: str | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> str:
    """Write histogram, cut, class balance and gallery of a selection; return where the file is.

    Args:
        run: Run directory.
        selection: Name of a selection of the run.
        out: The file; None = `report/<selection>.html` in the run.
        on_warning: Called with each reason why images cannot be shown; the page tells it too.

    Raises:
        UsageError: not a run, or no selection of that name.
        StorageError: a table cannot be read, or the file cannot be written.
    """
    return write_report(run, selection, out, on_warning=on_warning)
