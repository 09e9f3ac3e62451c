"""`neighbors build`: an index over a run's features, for neighbours and duplicates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.phases import tell_phases
from cluster.progress import OnProgress
from cluster.run_lock import RunLock
from selector.neighbors.build import build_index, index_folder
from selector.neighbors.index_kind import Kind
from selector.tables.connection import run_tables
from selector.tables.facts import find_fact
from selector.tables.layout import RunLayout


@dataclass(frozen=True)
class IndexReport:
    """An index.

    Attributes:
        folder: where it lies.
        card: content of its card.json, without the list of parts.
    """

    run: str
    folder: str
    card: Mapping[str, Any]


def neighbors_build(
    run: str,
    *,
    features: str | None = None,
    kind: Kind | None = None,
    seed: int = 0,
    threads: int | None = None,
    rebuild: bool = False,
    on_progress: OnProgress | None = None,
) -> IndexReport:
    """Build the index over a feature table of a run, or bring it up to date.

    New parts of the table are added; nothing is done when there are none. The kind is chosen by
    size (flat, ivf-flat, ivf-pq), and its recall@10 is measured on a sample of the vectors.

    Args:
        run: Run directory.
        features: Id or name of the feature table; None = the newest.
        kind: In place of the one chosen by size.
        seed: Of the training of the lists.
        threads: None = one per core; changes no result.
        rebuild: Train and fill it anew.
        on_progress: Called now and then.

    Raises:
        UsageError: not a run, no features, no usable vector, an index of other features, no FAISS.
        RunLocked: another driver works on the run.
        StorageError: a table cannot be read, or the index not written.
    """
    layout = RunLayout(run)
    run_tables(layout)
    fact = find_fact(layout, "features", features)
    with RunLock(layout.lock):
        card = build_index(
            layout,
            fact,
            kind=kind,
            seed=seed,
            threads=threads,
            rebuild=rebuild,
            on_share=tell_phases(on_progress),
        )
    told = {name: value for name, value in card.to_dict().items() if name != "parts"}
    return IndexReport(layout.root, str(index_folder(layout, fact.fact_id)), told)
