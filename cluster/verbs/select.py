"""`select`: a recipe carried out on the facts of a run, stored under a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster.progress import OnProgress, Progress
from selector import selection
from selector.selection import Recipe, Selection
from selector.tables.connection import DEFAULT_MEMORY_LIMIT


def select(
    run: str,
    *,
    recipe: Recipe | Mapping[str, Any] | str,
    name: str | None = None,
    n: int | None = None,
    overwrite: bool = False,
    memory: str = DEFAULT_MEMORY_LIMIT,
    on_progress: OnProgress | None = None,
) -> Selection:
    """Select images of a run; see `selector.selection.select`.

    Args:
        run: Run directory.
        recipe: A recipe, a file of one, the name of one that ships, or plain data.
        name: Name of the selection; None = the recipe's own.
        n: In place of the recipe's only n.
        overwrite: Replace a selection of this name that was made otherwise.
        memory: What SQL may hold, such as "4GB"; beyond it, the temporary directory is used.
        on_progress: Called now and then from this thread, in rows read.

    Raises:
        UsageError: a wrong recipe, a taken name, nothing selected, too few rows.
        StorageError: a table or list cannot be read, or the result cannot be written.
    """

    def on_rows(done: int, total: int) -> None:
        if on_progress is not None:
            on_progress(Progress(done, total, unit="rows"))

    return selection.select(
        run,
        recipe,
        name,
        n=n,
        overwrite=overwrite,
        memory_limit=memory,
        on_rows=on_rows,
    )
