"""Making the map of a run: sample, features, coordinates, and the fact table that holds them.

facts/map/<id>/<part>.parquet       x, y of every row of the scores; null where it is not drawn
facts/map/<id>/originals.parquet    original images, if there are any
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from selector.maps.embed import LEAST_POINTS, Method, check_method, embed, settings
from selector.maps.nearest import backend
from selector.maps.originals import FILE_NAME, Originals, originals_table, read_originals
from selector.maps.sample import draw_rows
from selector.tables.connection import connect
from selector.tables.facts import (
    FactTable,
    fact_tables,
    find_fact,
    iter_vectors,
    make_fact_id,
    write_fact_table,
)
from selector.tables.layout import RunLayout
from selector.tables.read import open_filesystem, read_table_list
from selector.tables.schema import column, fact_schema
from selector.tables.selections import known_selection_stats
from selector.tables.write import write_part
from shards import storage
from shards.errors import UsageError

MAX_POINTS = 100_000

OnStep = Callable[[float, float, str], None]
"""Done, total, and a note."""


@dataclass(frozen=True)
class MapResult:
    """A map that is there now.

    Attributes:
        fact_id, name, method: which it is.
        num_drawn: images of the pool that have a place; `num_originals` original images.
        num_scored: images of the pool that have scores.
        without_features: images of the sample that have no usable features.
        written: False if the same map was there already.
    """

    fact_id: str
    name: str
    method: str
    num_drawn: int
    num_originals: int
    num_scored: int
    without_features: int
    written: bool
    warnings: tuple[str, ...]


def make_map(
    run: str,
    *,
    method: Method = "tsne",
    features: str | None = None,
    selections: Sequence[str] = (),
    points: int = MAX_POINTS,
    originals: Sequence[str] = (),
    name: str = "",
    seed: int = 0,
    on_step: OnStep | None = None,
) -> MapResult:
    """Give each image of the pool, or of a stratified sample of it, a place in the plane.

    The same features, sample, method, seed and versions make the same map, which is not made twice.
    Costs one scan of the features, and with t-SNE half a minute of one core per 10,000 points.

    Args:
        run: Run directory.
        method: `tsne` or `umap`.
        features: id or name of a table of features; None = the newest.
        selections: of a pool that is too large, each combination of these is drawn as far as it
            has images, so that a small selection is seen as well.
        points: images of the pool drawn at most.
        originals: shards of images that the teacher was trained on, drawn beside the pool.
        name: of the map, to be told from others of the run.

    Raises:
        UsageError: no features, an unknown name, a package that is missing, too few images.
        StorageError: a table cannot be read or written.
    """
    check_method(method)
    if not LEAST_POINTS <= points <= MAX_POINTS:
        raise UsageError(f"points is {points}: expected {LEAST_POINTS} to {MAX_POINTS:,}")
    layout = RunLayout(run)
    fact = find_fact(layout, "features", features)
    tell = on_step or (lambda done, total, note: None)
    for selection in selections:
        known_selection_stats(layout, selection)
    with connect(run) as sql:
        rows = draw_rows(sql, selections=selections, points=points, seed=seed)
        (num_scored,) = sql.sql("SELECT count(*) FROM scores WHERE status = 'ok'").fetchall()[0]
    tell(0, 1, f"reading the features of {len(rows):,} images")
    drawn, vectors = _vectors(fact, rows)
    found = _originals(layout, fact, originals, seed, tell)
    made_from = {
        "features": fact.fact_id,
        "rows": hashlib.sha256(drawn.tobytes() + vectors.tobytes()).hexdigest(),
        "originals": hashlib.sha256(found.vectors.tobytes()).hexdigest() if found else None,
        "method": method,
        "settings": settings(method),
        "seed": seed,
        "versions": {**_versions(method), "neighbours": backend()},
    }
    fact_id = make_fact_id(made_from)
    known = [table for table in fact_tables(layout, "map") if table.fact_id == fact_id]
    if known:
        parts: Sequence[str] = known[-1].table.parts
        about = dict(known[-1].about)
    else:
        everything = np.concatenate([vectors, found.vectors]) if found else vectors
        places = embed(
            everything,
            method=method,
            seed=seed,
            on_step=lambda done, total: tell(done, total, ""),
        )
        parts = list(_write_parts(layout, fact_id, drawn, places[: len(drawn)]))
        about = {**made_from, "drawn": len(drawn), "selections": list(selections)}
        if found:
            uri = storage.join(layout.root, "facts", "map", fact_id, FILE_NAME)
            write_part(uri, originals_table(found, places[len(drawn) :]))
            about["original_images"] = len(found.keys)
    declared = write_fact_table(layout, "map", fact_id, parts, about=about, name=name)
    return MapResult(
        fact_id=fact_id,
        name=declared.name,
        method=method,
        num_drawn=len(drawn),
        num_originals=len(found.keys) if found else 0,
        num_scored=int(num_scored),
        without_features=len(rows) - len(drawn),
        written=not known,
        warnings=tuple(_warnings(len(rows) - len(drawn), found)),
    )


def map_schema() -> pa.Schema:
    """Columns of the fact table `map`."""
    return fact_schema(
        "map",
        [
            column("x", pa.float32(), "horizontal place; null where the image is not drawn"),
            column("y", pa.float32(), "vertical place; null where the image is not drawn"),
        ],
    )


def originals_file(layout: RunLayout, fact: FactTable) -> str | None:
    """Where the original images of a map are, None if it has none."""
    if not fact.about.get("original_images"):
        return None
    return storage.join(layout.root, "facts", "map", fact.fact_id, FILE_NAME)


def _vectors(
    fact: FactTable, rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float16]]:
    """Those of `rows` (ascending) that have finite features, and the features (n, D)."""
    row_ids: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
    vectors: list[npt.NDArray[np.float16]] = []
    for chunk in iter_vectors(fact):
        wanted = chunk.valid & np.isin(chunk.row_ids, rows)
        wanted[wanted] = np.isfinite(chunk.vectors[wanted]).all(axis=1)
        row_ids.append(chunk.row_ids[wanted])
        vectors.append(chunk.vectors[wanted])
    found = np.concatenate(row_ids)
    if len(found) < LEAST_POINTS:
        raise UsageError(
            f"{len(found)} of {len(rows)} scored images have features in {fact.fact_id}; a map "
            f"needs at least {LEAST_POINTS}"
        )
    return found, np.concatenate(vectors)


def _originals(
    layout: RunLayout, fact: FactTable, uris: Sequence[str], seed: int, tell: OnStep
) -> Originals | None:
    if not uris:
        return None
    tell(0, 1, f"features of original images in {len(uris):,} shards")
    return read_originals(layout, uris, features_id=fact.fact_id, seed=seed)


def _write_parts(
    layout: RunLayout,
    fact_id: str,
    drawn: npt.NDArray[np.int64],
    places: npt.NDArray[np.float32],
) -> Iterator[str]:
    """One part for each part of the scores, with the same rows."""
    schema = map_schema()
    for scores_part in read_table_list(layout, "scores").parts:
        filesystem, path = open_filesystem(scores_part)
        row_ids = pq.read_table(path, columns=["row_id"], filesystem=filesystem)["row_id"]
        ids = row_ids.to_numpy()
        at = np.minimum(np.searchsorted(drawn, ids), len(drawn) - 1)
        missing = drawn[at] != ids
        columns = [pa.array(places[at, axis], mask=missing) for axis in (0, 1)]
        name = storage.name(scores_part).removesuffix(".parquet")
        uri = layout.facts_part("map", fact_id, name)
        write_part(uri, pa.table([pa.array(ids), *columns], schema=schema))
        yield uri


def _versions(method: str) -> dict[str, Any]:
    package = {"tsne": "openTSNE", "umap": "umap-learn"}[method]
    return {package: version(package)}


def _warnings(without_features: int, originals: Originals | None) -> Iterator[str]:
    if without_features:
        yield (
            f"{without_features:,} scored image{'s'[: without_features != 1]} without usable "
            "features: not drawn"
        )
    if originals and originals.num_bad:
        several = "s"[: originals.num_bad != 1]
        yield f"{originals.num_bad:,} original image{several} cannot be decoded: not drawn"
