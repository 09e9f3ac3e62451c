"""Building an index over a feature table, part by part; growing it by new parts.

    neighbors/<features id>/vectors.f16, row_ids.i64   the vectors (`vector_file`)
    neighbors/<features id>/<kind>-<N>.faiss           the lists, absent for a flat index
    neighbors/<features id>/card.json                  written last

Memory: the sample that lists are trained on, the index itself (`index_kind` states both), a chunk
of vectors. The file of vectors is read once forward for each.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from selector.neighbors.card import Card, read_card, write_card
from selector.neighbors.coarse import train_lists
from selector.neighbors.faiss_library import load_faiss
from selector.neighbors.greedy import IntArray
from selector.neighbors.index_kind import IndexKind, Kind, choose_kind, train_rows
from selector.neighbors.kept_index import ivf_pq, padded
from selector.neighbors.recall import measure_recall
from selector.neighbors.search import NeighborIndex, read_index
from selector.neighbors.unit import unit
from selector.neighbors.vector_file import PartCount, TableChanged, VectorFile, append_table
from selector.neighbors.workers import Workers, ranges, workers
from selector.tables.facts import FactTable
from selector.tables.layout import RunLayout
from shards import storage
from shards.errors import StorageError, UsageError

OnShare = Callable[[str, float], None]
"""Called with what is being done, and how much of it is, in [0, 1]."""

_ADD_ROWS = 16_384
GROWN_TOO_FAR = 4.0
"""An index this many times as large as when its lists were trained is trained anew."""


def index_folder(layout: RunLayout, features_id: str) -> Path:
    """Where the index over a feature table lies: in the run, or for a remote run in the cache.

    FAISS and mapped files need a local disk; the index of a remote run can be built again on any
    machine, so each keeps its own.
    """
    if storage.is_local(layout.root):
        return Path(layout.root) / "neighbors" / features_id
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    place = hashlib.sha256(layout.root.encode()).hexdigest()[:16]
    return Path(cache) / "coursepack" / "neighbors" / place / features_id


def build_index(
    layout: RunLayout,
    fact: FactTable,
    *,
    kind: Kind | None = None,
    seed: int = 0,
    threads: int | None = None,
    rebuild: bool = False,
    on_share: OnShare = lambda doing, share: None,
) -> Card:
    """Build the index over a feature table, or bring the one that is there up to date.

    The same table, kind and seed give the same bytes, whatever the number of threads. A grown
    index keeps the lists that it was trained with.

    Args:
        kind: None = chosen by size, or the kind that is there.
        rebuild: train and fill it anew.

    Raises:
        UsageError: FAISS is not installed; no usable vector; too few for the kind asked for.
        StorageError: the table cannot be read; the folder cannot be written.
    """
    folder = index_folder(layout, fact.fact_id)
    card = None if rebuild else read_card(folder)
    if card is not None:
        card.check(fact, folder)
    with workers(threads) as pool:
        try:
            return _bring_up_to_date(folder, fact, card, kind, seed, pool, on_share)
        except TableChanged as change:
            if card is None:
                raise StorageError(
                    f"the feature table {fact.fact_id} changed while it was read ({change}); run "
                    "the same command again"
                ) from change
            return _bring_up_to_date(folder, fact, None, kind, seed, pool, on_share)


def _bring_up_to_date(
    folder: Path,
    fact: FactTable,
    card: Card | None,
    kind: Kind | None,
    seed: int,
    pool: Workers,
    on_share: OnShare,
) -> Card:
    dim = int(fact.about["dim"])
    before = VectorFile(folder, card.num_vectors if card else 0, dim)
    if card is None and folder.exists():
        shutil.rmtree(folder)  # bytes of an earlier index must not be taken for this one's
    on_share("reading vectors", 0.0)
    file, parts = append_table(before, fact, card.parts if card else {})
    if not file.size:
        rows = sum(part.rows for part in parts.values())
        raise UsageError(
            f"none of the {rows:,} rows of features {fact.fact_id} has a usable vector (failed "
            "images have none; zeros and NaN have no direction)"
        )
    asked = kind or (card.kind.kind if card and card.kind.asked else None)
    plan = choose_kind(file.size, dim, kind=asked)
    if card is not None and _still_fits(card, plan, file.size):
        if file.size == card.num_vectors and parts == dict(card.parts):
            return card
        start, trained_size, plan = card.num_vectors, card.trained_size, card.kind
        index = read_index(folder, card)
    else:
        start, trained_size = 0, file.size
        index = _trained(file, plan, seed, on_share)
    if index is not None:
        index.nprobe = plan.probes
        _add(index, file, start, on_share)
    return _store(fact, file, plan, index, trained_size, parts, seed, pool, on_share)


def _still_fits(card: Card, plan: IndexKind, size: int) -> bool:
    if card.kind.kind != plan.kind:
        return False
    return plan.kind == "flat" or size <= GROWN_TOO_FAR * card.trained_size


def _trained(file: VectorFile, plan: IndexKind, seed: int, on_share: OnShare) -> Any | None:
    """An empty index with its lists; None for a flat one."""
    if plan.kind == "flat":
        return None
    faiss = load_faiss()
    on_share("training lists", 0.0)
    rows = even_sample(file.size, train_rows(file.size, plan.lists))
    training = unit(file.vectors[rows])
    if plan.kind == "ivf-pq":
        return ivf_pq(training, plan.lists, seed=seed)
    quantizer = faiss.IndexFlatIP(file.dim)
    quantizer.add(train_lists(training, plan.lists, seed=seed))
    index = faiss.IndexIVFFlat(quantizer, file.dim, plan.lists, faiss.METRIC_INNER_PRODUCT)
    index.train(training)
    return index


def even_sample(size: int, wanted: int) -> IntArray:
    """(wanted,) row numbers spread evenly over 0 .. size - 1, ascending."""
    wanted = min(size, wanted)
    return (np.arange(wanted, dtype=np.int64) * size) // max(1, wanted)


def _add(index: Any, file: VectorFile, start: int, on_share: OnShare) -> None:
    todo = file.size - start
    for rows in ranges(todo, _ADD_ROWS):
        block = file.vectors[start + rows.start : start + rows.stop]
        index.add(padded(unit(block), index.d))
        on_share("adding vectors", rows.stop / todo)


def _store(
    fact: FactTable,
    file: VectorFile,
    plan: IndexKind,
    index: Any | None,
    trained_size: int,
    parts: dict[str, PartCount],
    seed: int,
    pool: Workers,
    on_share: OnShare,
) -> Card:
    folder, name = file.folder, ""
    if index is not None:
        name = f"{plan.kind}-{file.size}.faiss"
        temporary = folder / f".{name}.tmp"
        load_faiss().write_index(index, str(temporary))
        temporary.replace(folder / name)
    card = Card(
        features=fact.fact_id,
        teacher=str(fact.about.get("teacher_fingerprint", "")),
        dim=file.dim,
        num_vectors=file.size,
        missing=sum(part.missing for part in parts.values()),
        unusable=sum(part.unusable for part in parts.values()),
        kind=plan,
        seed=seed,
        trained_size=trained_size,
        file=name,
        recall={},
        parts=parts,
        versions={"faiss": load_faiss().__version__, "numpy": np.__version__},
    )
    on_share("measuring recall", 0.0)
    opened = NeighborIndex(card, file, index)
    card = replace(card, recall=measure_recall(opened, pool))
    write_card(folder, card)
    for old in folder.glob("*.faiss"):
        if old.name != name:
            old.unlink(missing_ok=True)
    return card
