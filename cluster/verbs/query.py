"""`query`: one SELECT over the tables of a run."""

from __future__ import annotations

import pyarrow as pa

from selector.tables.query import query as ask


def query(run: str, sql: str) -> pa.Table:
    """Answer one SELECT over the views of a run.

    Views: scores, members, shards, classes, one per fact kind, selection_<name>. Read-only, and
    nothing outside the run can be reached.

    Raises:
        UsageError: wrong SQL, no single SELECT, not a run.
        CoursepackError: the answer needs more memory or disk than there is.
    """
    return ask(run, sql)
