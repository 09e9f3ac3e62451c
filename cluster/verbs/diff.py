"""`diff`: two selections of a run compared."""

from __future__ import annotations

from selector.selection_diff import SelectionDiff, diff_selections
from selector.tables.connection import DEFAULT_MEMORY_LIMIT


def diff(
    run: str, a: str, b: str, *, examples: int = 5, memory: str = DEFAULT_MEMORY_LIMIT
) -> SelectionDiff:
    """Tell what only one of two selections has: by class, with examples, and why.

    Args:
        run: Run directory.
        a, b: Names of two selections of the run.
        examples: Rows of either side to show, at most.
        memory: What SQL may hold, such as "4GB".

    Raises:
        UsageError: no such selection.
        StorageError: a table cannot be read.
    """
    return diff_selections(run, a, b, examples=examples, memory_limit=memory)
