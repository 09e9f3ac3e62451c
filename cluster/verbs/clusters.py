"""`clusters`: k-means over a run's features, as facts that recipes can balance by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.phases import tell_phases
from cluster.progress import OnProgress
from cluster.run_lock import RunLock
from selector.neighbors.clusters import KIND, make_clusters
from selector.tables.connection import run_tables
from selector.tables.facts import FactTable, fact_tables, find_fact, make_fact_id
from selector.tables.layout import RunLayout
from selector.tables.run_files import read_json
from shards import atomic, storage
from shards.errors import UsageError

MAX_CLUSTERS = 65_536


@dataclass(frozen=True)
class ClustersReport:
    """A table of clusters.

    Attributes:
        id, name: of the fact table.
        written: False if it was there already.
        about: k, features, seed, mean_distance, largest, smallest, not_clustered.
        card: file with the size and the nearest images of every cluster.
        clusters: content of the card: cluster, images, examples (row_ids, the nearest first).
    """

    run: str
    id: str
    name: str
    written: bool
    about: Mapping[str, Any]
    card: str
    clusters: list[dict[str, Any]]


def clusters(
    run: str,
    *,
    k: int,
    features: str | None = None,
    seed: int = 0,
    name: str = "",
    threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> ClustersReport:
    """Cluster the images of a run by their features.

    Writes the fact table `clusters` (cluster, distance) and a card of sizes and examples. Called
    again with the same input: found done.

    Args:
        run: Run directory.
        k: Clusters.
        features: Id or name of the feature table; None = the newest.
        seed: Of k-means.
        name: Name of the table, to tell it from others.
        threads: None = one per core; changes no result.
        on_progress: Called now and then.

    Raises:
        UsageError: not a run, no features, fewer usable vectors than clusters, no FAISS.
        RunLocked: another driver works on the run.
        StorageError: a table cannot be read or written.
    """
    if not 1 <= k <= MAX_CLUSTERS:
        raise UsageError(f"k = {k:,}: expected 1 to {MAX_CLUSTERS:,} clusters")
    layout = RunLayout(run)
    run_tables(layout)
    fact = find_fact(layout, "features", features)
    about = {"k": k, "seed": seed, "features": fact.fact_id}
    fact_id = make_fact_id({**about, "version": fact.table.version})
    card = storage.join(layout.root, "facts", KIND, fact_id, "card.json")
    there = [table for table in fact_tables(layout, KIND) if table.fact_id == fact_id]
    if there and there[0].name == name and storage.exists(card):
        return _report(layout, there[0], card, written=False)
    with RunLock(layout.lock) as lock:
        table, made = make_clusters(
            layout,
            fact,
            fact_id,
            k=k,
            seed=seed,
            name=name,
            about=about,
            threads=threads,
            on_share=tell_phases(on_progress),
            before_commit=lock.check,
        )
        told = [
            {"cluster": number, "images": size, "examples": examples}
            for number, (size, examples) in enumerate(
                zip(made.sizes.tolist(), made.examples, strict=True)
            )
        ]
        atomic.write_bytes(card, json.dumps({"clusters": told}, indent=1).encode() + b"\n")
    return _report(layout, table, card, written=True)


def _report(layout: RunLayout, table: FactTable, card: str, *, written: bool) -> ClustersReport:
    told = read_json(card, cure="remove it and run the same command again")["clusters"]
    return ClustersReport(layout.root, table.fact_id, table.name, written, table.about, card, told)
