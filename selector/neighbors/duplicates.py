"""Finding the duplicates of a run, by grade; `duplicate_table` writes them down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from selector.neighbors.build import build_index, index_folder
from selector.neighbors.duplicate_table import Grade, Removed
from selector.neighbors.exact import TWINS, find_exact
from selector.neighbors.greedy import IntArray
from selector.neighbors.hamming import HashArray, check_radius, tells_looks
from selector.neighbors.perceptual import DEFAULT_RADIUS, find_perceptual
from selector.neighbors.ranking import DEFAULT_ORDER, Ranking, rank_rows
from selector.neighbors.semantic import DEFAULT_EPSILON, check_epsilon, find_semantic
from selector.neighbors.vector_file import RowNumbers, VectorFile
from selector.neighbors.workers import workers
from selector.tables.connection import RunTables
from selector.tables.facts import FactTable
from selector.tables.layout import RunLayout
from shards.errors import UsageError

OnShare = Callable[[str, float], None]


@dataclass(frozen=True)
class Request:
    """What to look for.

    Attributes:
        keep_by: column by which the best of near images is kept; see `rank_rows`.
        descending: None = as the column's metadata says.
        limit: epsilon (cosine distance, semantic) or radius (bits, perceptual); None = default.
        seed: of the index over many features.
    """

    grade: Grade
    keep_by: str = DEFAULT_ORDER
    descending: bool | None = None
    limit: float | None = None
    seed: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides the result beside the tables; plain JSON values.

        Raises:
            UsageError: a limit out of range, or one where there is none.
        """
        plain: dict[str, Any] = {"grade": self.grade, "keep_by": self.keep_by}
        if self.descending is not None:
            plain["descending"] = self.descending
        match self.grade:
            case "exact":
                if self.limit is not None:
                    raise UsageError("exact duplicates are equal: they have no radius or epsilon")
            case "perceptual":
                radius = DEFAULT_RADIUS if self.limit is None else self.limit
                check_radius(int(radius))
                plain["radius"] = int(radius)
            case "semantic":
                epsilon = DEFAULT_EPSILON if self.limit is None else float(self.limit)
                check_epsilon(epsilon)
                plain |= {"epsilon": epsilon, "seed": self.seed}
        return plain


@dataclass(frozen=True)
class Found:
    """The duplicates of a run, and what a reader of the table should know.

    Attributes:
        about: settings, order, images (ranked), compared, not_compared (reason -> images),
            removed, recall; for the fact table.
    """

    removed: Removed
    about: dict[str, Any]


def find_duplicates(
    layout: RunLayout,
    tables: RunTables,
    request: Request,
    *,
    features: FactTable | None = None,
    threads: int | None = None,
    on_share: OnShare = lambda doing, share: None,
) -> Found:
    """Find the duplicates of one grade among the images with status ok.

    The result hangs on the images alone: not on threads, nor on the order of shards.

    Args:
        features: the table to compare, for semantic duplicates alone; its index is built or
            brought up to date.

    Raises:
        UsageError: a setting out of range; an unknown column; no FAISS.
        StorageError: a table cannot be read.
    """
    settings = request.settings
    on_share("ranking images", 0.0)
    ranking = rank_rows(
        tables,
        by=request.keep_by,
        descending=request.descending,
        where=TWINS if request.grade == "exact" else None,
        threads=threads,
    )
    about = {**settings, "order": ranking.order}
    if request.grade == "exact":
        removed = find_exact(ranking)
        return Found(removed, {**about, "removed": len(removed.row_ids), "recall": 1.0})
    if request.grade == "perceptual":
        removed, more = _perceptual(tables, ranking, settings["radius"], threads, on_share)
    else:
        assert features is not None
        removed, more = _semantic(layout, features, ranking, settings, threads, on_share)
    counts = {"images": len(ranking.row_ids), "removed": len(removed.row_ids)}
    return Found(removed, {**about, **counts, **more})


def _perceptual(
    tables: RunTables, ranking: Ranking, radius: int, threads: int | None, on_share: OnShare
) -> tuple[Removed, dict[str, Any]]:
    hashes, known = pool_hashes(tables, ranking.row_ids)
    telling = known & tells_looks(hashes)
    ranked = np.flatnonzero(telling)
    with workers(threads) as pool:
        outcome, apart = find_perceptual(
            hashes, ranked, radius=radius, pool=pool, on_rows=_share_of(len(ranked), on_share)
        )
    row_ids = ranking.row_ids
    removed = Removed(
        row_ids[outcome.removed], row_ids[outcome.kept_by], {"distance": apart.astype(np.int32)}
    )
    skipped = {"no_phash": int((~known).sum()), "flat_image": int((known & ~telling).sum())}
    return removed, {"compared": len(ranked), "not_compared": skipped, "recall": 1.0}


def _semantic(
    layout: RunLayout,
    features: FactTable,
    ranking: Ranking,
    settings: dict[str, Any],
    threads: int | None,
    on_share: OnShare,
) -> tuple[Removed, dict[str, Any]]:
    card = build_index(layout, features, threads=threads, on_share=on_share)
    file = VectorFile(index_folder(layout, features.fact_id), card.num_vectors, card.dim)
    numbers = file.numbers_of(ranking.row_ids)
    ranked = numbers[numbers >= 0]
    with workers(threads) as pool:
        found = find_semantic(
            file.vectors,
            ranked,
            epsilon=settings["epsilon"],
            pool=pool,
            seed=settings["seed"],
            on_rows=_share_of(len(ranked), on_share),
        )
    row_ids = file.row_ids
    removed = Removed(
        row_ids[found.outcome.removed],
        row_ids[found.outcome.kept_by],
        {"similarity": found.similarity.astype(np.float32)},
    )
    return removed, {
        "features": features.fact_id,
        "compared": len(ranked),
        "not_compared": {"no_usable_features": int((numbers < 0).sum())},
        "search": asdict(found.search),
        **found.recall,
    }


def pool_hashes(tables: RunTables, row_ids: IntArray) -> tuple[HashArray, np.ndarray]:
    """(M,) perceptual hash of each row_id, 0 where it has none; (M,) bool whether it has one."""
    numbers_of = RowNumbers(row_ids)
    hashes = np.zeros(len(row_ids), np.uint64)
    known = np.zeros(len(row_ids), bool)
    scores = tables.views["scores"]
    for batch in scores.scanner(columns=["row_id", "phash"]).to_batches():
        number = numbers_of(batch.column("row_id").to_numpy())
        phash = batch.column("phash")
        fits = (number >= 0) & phash.is_valid().to_numpy(zero_copy_only=False)
        hashes[number[fits]] = phash.fill_null(0).to_numpy()[fits]
        known[number[fits]] = True
    return hashes, known


def _share_of(total: int, on_share: OnShare) -> Callable[[int], None]:
    return lambda done: on_share("comparing images", done / max(1, total))
