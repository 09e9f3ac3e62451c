"""`explain`: why a sample is in a selection, or why not."""

from __future__ import annotations

from typing import Any

from selector.explain import explain as explain_rows


def explain(run: str, key: str | int, *, selection: str) -> list[dict[str, Any]]:
    """Tell for every row that `key` means what each step of the recipe decided.

    Args:
        run: Run directory.
        key: Key of a sample, its row_id, or its content hash (32 hex digits).
        selection: Name of a selection of the run.

    Returns:
        One dictionary per row: row_id, key, shard, status, pseudo_label, class_name, selected,
        why (one sentence), steps (step, label, decision, text), views (that the scores are
        averages of).

    Raises:
        UsageError: no such selection or row, an exclusion list that has changed.
        StorageError: a table or list cannot be read.
    """
    return explain_rows(run, key, selection=selection)
