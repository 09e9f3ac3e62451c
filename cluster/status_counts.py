"""Rows by status without reading the rows: kept with the list of parts, and carried forward.

Each version of the scores table list says how many rows of each status it has. The next one adds
what the parts that are new counted themselves. Where that cannot be done (parts were replaced, or
are damaged and will be), one column of the table is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pyarrow as pa

from cluster.ledger import Marker
from cluster.runs import Run
from selector.tables.layout import RunLayout
from selector.tables.read import (
    damage_of,
    dataset,
    newest_versions,
    read_table_list,
)

_PREFIX = "status_"


def statuses_of(counters: Mapping[str, float]) -> Counter[str]:
    """status -> rows, from the counters of a part; statuses without rows are left out."""
    return Counter(
        {
            name.removeprefix(_PREFIX): int(count)
            for name, count in counters.items()
            if name.startswith(_PREFIX) and count
        }
    )


def carried_forward(
    run: Run, done: Mapping[str, Marker], *, fresh: Mapping[str, int], fresh_parts: int
) -> dict[str, int] | None:
    """Rows by status of the parts `done`; None if only reading them can tell.

    Args:
        fresh: rows by status of the parts that this call scored, `fresh_parts` in number.

    Raises:
        CoursepackError: a marker is damaged.
    """
    if any(marker.damaged for marker in done.values()):
        return None  # the part will be replaced under the same name
    layout = run.layout
    before = None
    if "scores" in newest_versions(layout):
        before = read_table_list(layout, "scores")
        if before.statuses is None:
            return None
    known = set(before.relative_parts) if before else set()
    names = {layout.relative(layout.scores_part(done[part].scores_name)): part for part in done}
    added = [part for name, part in names.items() if name not in known]
    if not known <= names.keys() or fresh_parts > len(added):
        return None
    counts = Counter(before.statuses if before and before.statuses else {})
    if len(added) == fresh_parts:
        counts.update(fresh)
    elif added:  # a call that was killed left parts that no list names yet
        for marker in run.ledger.read(added):
            if f"{_PREFIX}ok" not in marker.counters:
                return None
            counts.update(statuses_of(marker.counters))
    return dict(sorted(counts.items()))


def stored(layout: RunLayout) -> dict[str, int]:
    """Rows by status as the newest list says, or counted where it does not.

    Raises:
        StorageError: a part is missing, or no readable Parquet file.
    """
    table = read_table_list(layout, "scores")
    dataset(layout, "scores")  # no row is read, but a missing part, or a torn one, is told
    return count(layout) if table.statuses is None else dict(table.statuses)


def count(layout: RunLayout) -> dict[str, int]:
    """Rows by status, streamed: no more than a batch of one column is in memory.

    Raises:
        StorageError: a part that is damaged.
    """
    counts: Counter[str] = Counter()
    source = dataset(layout, "scores")
    try:
        for batch in source.to_batches(columns=["status"]):
            for item in batch.column(0).value_counts().to_pylist():
                counts[item["values"]] += item["counts"]
    except (pa.ArrowException, OSError) as error:
        damage = damage_of("scores", source)
        if damage is None:
            raise
        raise damage from error
    return dict(sorted(counts.items()))
