"""`query`: one SELECT over the tables of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from cluster.progress import OnProgress, Progress
from selector.tables.answer import OnShare
from selector.tables.connection import DEFAULT_MEMORY_LIMIT
from selector.tables.query import Answer, open_answer
from selector.tables.query import query as ask


def query(
    run: str,
    sql: str,
    *,
    memory: str = DEFAULT_MEMORY_LIMIT,
    on_progress: OnProgress | None = None,
) -> pa.Table:
    """Answer one SELECT over the views of a run.

    Views: scores, members, shards, classes, one per fact kind, selection_<name>. Read-only, and
    nothing outside the run can be reached.

    Args:
        memory: What SQL may hold, such as "4GB"; beyond it, the temporary directory is used. The
            answer itself comes on top: `open_query` gives it batch by batch.
        on_progress: Called now and then from this thread, in shares of the work.

    Raises:
        UsageError: wrong SQL, no single SELECT, not a run.
        CoursepackError: the answer needs more memory or disk than there is.
    """
    return ask(run, sql, memory_limit=memory, on_share=_shares(on_progress))


@contextmanager
def open_query(
    run: str,
    sql: str,
    *,
    memory: str = DEFAULT_MEMORY_LIMIT,
    on_progress: OnProgress | None = None,
) -> Iterator[Answer]:
    """As `query`, for an answer of any size: `schema`, and `batches` that are read once."""
    with open_answer(run, sql, memory_limit=memory, on_share=_shares(on_progress)) as answer:
        yield answer


def _shares(on_progress: OnProgress | None) -> OnShare | None:
    if on_progress is None:
        return None
    return lambda share: on_progress(Progress(share, 1.0, unit="share"))
