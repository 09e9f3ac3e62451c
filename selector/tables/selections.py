"""Stored selections: which there are, what they say of themselves, and their rows.

stats.json is written last: a selection directory without it is unfinished and does not count.
"""

from __future__ import annotations

import difflib
from typing import Any

import pyarrow as pa

from selector.tables.layout import RunLayout
from selector.tables.read import open_parts
from selector.tables.run_files import read_json
from shards import storage
from shards.errors import UsageError


def selection_names(layout: RunLayout) -> list[str]:
    """Names of the finished selections of a run, sorted."""
    if not storage.exists(layout.selections_dir):
        return []
    files = storage.list_files(layout.selections_dir, suffix="/stats.json", recursive=True)
    relative = [file.uri[len(layout.selections_dir) + 1 :] for file in files]
    return sorted(path.split("/")[0] for path in relative if path.count("/") == 1)


def selection_part(layout: RunLayout, name: str) -> str:
    """The Parquet file of one selection: row_id, weight, reason."""
    return storage.join(layout.selection_dir(name), "selection.parquet")


def selection_stats(layout: RunLayout, name: str) -> dict[str, Any] | None:
    """stats.json of a finished selection, None if there is none of that name."""
    uri = storage.join(layout.selection_dir(name), "stats.json")
    if not storage.exists(uri):
        return None
    return read_json(uri, cure=f"remove the folder {uri.rpartition('/')[0]} and select again")


def known_selection_stats(layout: RunLayout, name: str) -> dict[str, Any]:
    """As `selection_stats`, for a selection that must exist.

    Raises:
        UsageError: it does not; the message names those that do.
    """
    stats = selection_stats(layout, name)
    if stats is None:
        names = selection_names(layout)
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names) or 'none'};"
        raise UsageError(
            f"run {layout.root} has no selection {name!r}; {hint} make one with "
            f"`coursepack select {layout.root} --recipe RECIPE --name {name}`"
        )
    return stats


def read_selection(layout: RunLayout, name: str) -> pa.Table:
    """The rows of a selection (row_id, weight, reason), sorted by row_id.

    Raises:
        UsageError: no finished selection of that name.
        StorageError: its file is missing or damaged.
    """
    known_selection_stats(layout, name)
    return open_parts("selection", [selection_part(layout, name)]).to_table()
