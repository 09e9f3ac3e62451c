"""`similar`: the images of a run nearest to one of them, or to an image file."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from cluster.phases import tell_phases
from cluster.progress import OnProgress
from cluster.run_lock import RunLock, RunLocked
from selector.neighbors.build import build_index
from selector.neighbors.similar import (
    By,
    Neighbor,
    describe,
    image_file,
    nearest_by_features,
    nearest_by_looks,
    open_index,
    row_of,
)
from selector.report.similar import similar_page
from selector.tables.connection import run_tables
from selector.tables.facts import find_fact
from selector.tables.layout import RunLayout
from shards import atomic
from shards.errors import UsageError


@dataclass(frozen=True)
class SimilarReport:
    """Neighbours of an image, the nearest first.

    Attributes:
        row_id: of the image asked for; None for an image file.
        by: what was compared.
        page: the HTML page that was written, "" for none.
    """

    run: str
    query: str
    row_id: int | None
    by: By
    neighbors: list[Neighbor]
    page: str = ""


def similar(
    run: str,
    image: str,
    *,
    k: int = 12,
    by: By = "features",
    features: str | None = None,
    weights: str | None = None,
    html: str | None = None,
    threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> SimilarReport:
    """Find the images of a run nearest to one of them, or to an image file.

    The index is built or brought up to date first, where no other driver works on the run.

    Args:
        run: Run directory.
        image: An image file; or key, row_id or content hash of an image of the run (`key:`,
            `row_id:` or `hash:` in front settles which).
        k: Neighbours wanted, 1 to 1000.
        by: features (cosine), or phash (differing bits; needs no features and no FAISS index).
        features: Id or name of the feature table; None = the newest.
        weights: Where the teacher's weights are now, for an image file.
        html: Write a page with thumbnails there.
        threads: None = one per core; changes no result.
        on_progress: Called now and then.

    Raises:
        UsageError: no such image, an image without features, no features, an index of others.
        ImageError: the file is no image.
        StorageError: a table cannot be read, or the page not written.
    """
    if not 1 <= k <= 1000:
        raise UsageError(f"k = {k}: expected 1 to 1000 neighbours")
    layout = RunLayout(run)
    tables = run_tables(layout)
    data = image_file(image)
    row_id = row_of(tables, image) if data is None else None
    found: list[tuple[int, float]] | list[tuple[int, int]]
    if by == "phash":
        found = nearest_by_looks(tables, row_id=row_id, image=data, k=k)
    else:
        fact = find_fact(layout, "features", features)
        with contextlib.suppress(RunLocked), RunLock(layout.lock):
            build_index(layout, fact, threads=threads, on_share=tell_phases(on_progress))
        opened = open_index(layout, fact)
        vector = None
        if data is not None:
            from selector.scoring.positives import open_extractor

            with open_extractor(layout, which=fact.fact_id, weights=weights) as extract:
                made = extract([data])
            if not made.valid[0]:
                raise UsageError(f"{image}: {made.status[0]}: {made.error[0]}")
            vector = made.vectors[0]
        found = nearest_by_features(opened, row_id=row_id, vector=vector, k=k, threads=threads)
    neighbors = describe(layout, tables, found, by=by)
    if html is not None:
        page = similar_page(layout, tables, image, data, row_id, neighbors)
        atomic.write_bytes(html, page.encode())
    return SimilarReport(layout.root, image, row_id, by, neighbors, html or "")
