"""Panels: images of the kept and of the dropped, by quantile of the noise value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from markupsafe import Markup

from selector.report.album import Album
from selector.report.panel import Panel
from selector.report.source import SCORED, Source
from selector.report.stats import quantile_bands
from selector.report.template import fill

NUM_BANDS = 6
PER_BAND = 12

CANDIDATES = 100_000
"""A gallery is chosen from about so many images of its side; more are thinned."""


@dataclass(frozen=True)
class Band:
    """Images around one quantile of the noise value.

    Attributes:
        quantile: in [0, 1]; 0 holds the surest images.
        low, high: range of the noise values shown, nats.
    """

    quantile: float
    low: float
    high: float
    row_ids: tuple[int, ...]


@dataclass(frozen=True)
class Gallery:
    """One side, kept or dropped; `thinned` if it was chosen from a sample."""

    bands: tuple[Band, ...]
    thinned: bool


def gather_kept(source: Source) -> Gallery:
    """The selected images."""
    return _gallery(source, selected=True, num_rows=source.facts.num_selected)


def gather_dropped(source: Source) -> Gallery:
    """Scored images that were not selected."""
    num_rows = source.facts.num_rows - source.facts.num_selected
    return _gallery(source, selected=False, num_rows=num_rows)


def _gallery(source: Source, *, selected: bool, num_rows: int) -> Gallery:
    step = max(1, -(-num_rows // CANDIDATES))
    # Thinned by a hash of row_id: the same rows on every call.
    table = source.sql.sql(
        "SELECT row_id, noise_value FROM judged SEMI JOIN reach USING (shard_id) "
        f"WHERE selected = $selected AND {SCORED} AND hash(row_id) % $step = 0 ORDER BY row_id",
        params={"selected": selected, "step": step},
    ).to_arrow_table()
    return Gallery(_bands(table), thinned=step > 1)


def _bands(table: pa.Table) -> tuple[Band, ...]:
    values = table["noise_value"].to_numpy().astype(np.float64)
    row_ids = table["row_id"].to_numpy()
    return tuple(
        Band(
            quantile=quantile,
            low=float(values[rows].min()),
            high=float(values[rows].max()),
            row_ids=tuple(row_ids[rows].tolist()),
        )
        for quantile, rows in quantile_bands(values, num_bands=NUM_BANDS, width=PER_BAND)
    )


def gallery_pictures(gallery: Gallery) -> Iterator[int]:
    """Every image of every band."""
    for band in gallery.bands:
        yield from band.row_ids


def draw_kept(gallery: Gallery, album: Album) -> Markup:
    """Six rows of thumbnails."""
    return fill("panels/gallery.html", side="kept", gallery=gallery, album=album)


def draw_dropped(gallery: Gallery, album: Album) -> Markup:
    """Six rows of thumbnails."""
    return fill("panels/gallery.html", side="dropped", gallery=gallery, album=album)


KEPT = Panel("kept", "Kept", gather_kept, draw_kept, gallery_pictures)
DROPPED = Panel("dropped", "Dropped", gather_dropped, draw_dropped, gallery_pictures)
