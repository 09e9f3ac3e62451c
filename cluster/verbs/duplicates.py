"""`duplicates`: which images of a run are twice in it, and which one of each stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cluster.phases import tell_phases
from cluster.progress import OnProgress
from cluster.run_lock import RunLock
from selector.neighbors.duplicate_table import Grade, kind_of, write_duplicates
from selector.neighbors.duplicates import Request, find_duplicates
from selector.tables.connection import run_tables
from selector.tables.facts import FactTable, fact_tables, find_fact, make_fact_id, open_fact
from selector.tables.layout import RunLayout
from selector.tables.read import read_table_list
from shards.errors import UsageError

_SHOWN_GROUPS = 10


@dataclass(frozen=True)
class DuplicatesReport:
    """A table of duplicates.

    Attributes:
        kind, id, name: of the fact table.
        written: False if it was there already.
        removed: images that have a duplicate which is kept.
        about: settings, images compared and why others were not, recall of the search.
        largest_groups: row_id and key of the kept images with most duplicates, and how many.
    """

    run: str
    kind: str
    id: str
    name: str
    written: bool
    removed: int
    about: Mapping[str, Any]
    largest_groups: list[dict[str, Any]]


def duplicates(
    run: str,
    *,
    grade: Grade = "exact",
    keep_by: str = "noise_value",
    descending: bool | None = None,
    epsilon: float | None = None,
    radius: int | None = None,
    features: str | None = None,
    name: str = "",
    threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> DuplicatesReport:
    """Find duplicates and write them down; a recipe leaves them out by `exclude: {duplicates: }`.

    An image is a duplicate only if an image that is KEPT lies near it; the table says which. Of
    near images the best by `keep_by` is kept. Called again on the same tables: found done.

    Args:
        run: Run directory.
        grade: exact (same bytes), perceptual (pHash), or semantic (cosine of features).
        keep_by: Column of scores, `kind.column` of a fact table, or `random`.
        descending: True keeps the highest, False the lowest; None = what the column calls better.
        epsilon: Semantic: greatest cosine distance of duplicates.
        radius: Perceptual: greatest number of differing bits, of 64.
        features: Id or name of the feature table; None = the newest.
        name: Name of the table, to tell it from others of its grade.
        threads: None = one per core; changes no result.
        on_progress: Called now and then.

    Raises:
        UsageError: not a run, no features, an unknown column, a setting out of range, no FAISS.
        RunLocked: another driver works on the run.
        StorageError: a table cannot be read or written.
    """
    limit = _limit(grade, epsilon, radius)
    request = Request(grade, keep_by, descending, limit)
    settings = request.settings
    layout = RunLayout(run)
    tables = run_tables(layout)
    kind = kind_of(grade)
    fact = find_fact(layout, "features", features) if grade == "semantic" else None
    made_from = {**settings, "scores": tables.versions["scores"]}
    kept_by = keep_by.rpartition(".")[0]
    if kept_by:
        made_from["keep_by_version"] = tables.versions.get(kept_by, 0)
    if fact is not None:
        made_from["features"] = [fact.fact_id, fact.table.version]
    fact_id = make_fact_id(made_from)
    there = [table for table in fact_tables(layout, kind) if table.fact_id == fact_id]
    if there and there[0].name == name:
        return _report(layout, there[0], written=False)
    with RunLock(layout.lock) as lock:
        found = find_duplicates(
            layout,
            tables,
            request,
            features=fact,
            threads=threads,
            on_share=tell_phases(on_progress),
        )
        table = write_duplicates(
            layout,
            read_table_list(layout, "scores", tables.versions["scores"]),
            kind,
            fact_id,
            found.removed,
            about=found.about,
            name=name,
            before_commit=lock.check,
        )
    return _report(layout, table, written=True)


def _limit(grade: Grade, epsilon: float | None, radius: int | None) -> float | None:
    wrong = {"exact": (epsilon, radius), "perceptual": (epsilon,), "semantic": (radius,)}
    if grade not in wrong:
        raise UsageError(f"grade {grade!r}: expected {', '.join(wrong)}")
    if any(value is not None for value in wrong[grade]):
        raise UsageError(
            f"{grade} duplicates: --epsilon belongs to semantic and --radius to perceptual "
            "duplicates alone; exact ones have the same bytes"
        )
    return epsilon if grade == "semantic" else radius


def _report(layout: RunLayout, table: FactTable, *, written: bool) -> DuplicatesReport:
    parts = [np.empty(0, np.int64)]
    for batch in open_fact(table).scanner(columns=["duplicate_of"]).to_batches():
        parts.append(batch.column(0).drop_null().to_numpy())
    kept, counts = np.unique(np.concatenate(parts), return_counts=True)
    largest = np.lexsort((kept, -counts))[:_SHOWN_GROUPS]
    keys = _keys(layout, kept[largest].tolist())
    return DuplicatesReport(
        run=layout.root,
        kind=table.kind,
        id=table.fact_id,
        name=table.name,
        written=written,
        removed=int(counts.sum()),
        about=table.about,
        largest_groups=[
            {"row_id": row_id, "key": keys.get(row_id, ""), "duplicates": count}
            for row_id, count in zip(kept[largest].tolist(), counts[largest].tolist(), strict=True)
        ],
    )


def _keys(layout: RunLayout, row_ids: list[int]) -> dict[int, str]:
    import pyarrow.dataset as ds

    from selector.tables.read import dataset

    rows = dataset(layout, "scores").to_table(
        columns=["row_id", "key"], filter=ds.field("row_id").isin(row_ids)
    )
    return dict(zip(rows["row_id"].to_pylist(), rows["key"].to_pylist(), strict=True))
