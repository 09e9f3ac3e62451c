"""Panel: the map, to be moved, coloured, hovered and lassoed by the script beside the template."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from selector.report.album import Album
from selector.report.atlas import Atlas, make_atlas, tile_side
from selector.report.map_columns import Column, Numbers
from selector.report.map_points import Points, gather_points
from selector.report.panel import Panel, Tiles
from selector.report.payload import binary_text, json_text
from selector.report.template import fill
from selector.report.thumbnails import Pixels, shrink

SCRIPTS = (
    "map_data.js",
    "map_colours.js",
    "map_raster.js",
    "map_view.js",
    "map_pictures.js",
    "map_list.js",
    "map.js",
)

MOST_KEY_BYTES = 6_000_000
"""Of all keys in the page; longer ones are left out, and points are told by their row_id."""

_METHODS = {"tsne": "t-SNE", "umap": "UMAP"}


def map_tiles(points: Points) -> Tiles:
    """Every picture that the map can show."""
    number = len(points.pictured) + len(points.originals)
    longest = max(points.longest, 64 if points.originals else 0)
    return Tiles(points.pictured, tile_side(number, longest))


def draw_map(points: Points, album: Album) -> Markup:
    """The section with its data; without its script it says what it needs."""
    atlas = _atlas(points, album)
    long_keys = sum(len(key.encode(errors="replace")) for key in points.keys) > MOST_KEY_BYTES
    payload = {
        "points": len(points.row_ids),
        "rowIds": [str(row) for row in points.row_ids.tolist()],
        "keys": None if long_keys else points.keys,
        "places": binary_text(_fitted(points.places)),
        "columns": [_column(column) for column in points.columns],
        "tile": atlas.side,
        "tileSizes": binary_text(atlas.sizes),
    }
    about = points.fact.about
    return fill(
        "panels/map.html",
        method=_METHODS.get(str(about.get("method")), "a map"),
        points=points,
        num_pool=int((points.row_ids >= 0).sum()),
        columns=[column.name for column in points.columns],
        payload=json_text(payload),
        sheets=[Markup(sheet) for sheet in atlas.sheets],
    )


def _fitted(places: np.ndarray) -> np.ndarray:
    """Places as (N, 2) uint16 with one scale for both axes: a 65,535th of the map is no distance
    that a screen shows."""
    low, high = places.min(axis=0), places.max(axis=0)
    scale = 65535 / max(float((high - low).max()), 1e-9)
    margin = (65535 - (high - low) * scale) / 2
    return np.clip(np.round((places - low) * scale + margin), 0, 65535).astype(np.uint16)


def _column(column: Column) -> dict[str, Any]:
    if isinstance(column, Numbers):
        return {
            "name": column.name,
            "kind": "number",
            "values": binary_text(column.values),
            "low": column.low,
            "high": column.high,
            "log": column.log,
        }
    return {
        "name": column.name,
        "kind": "category",
        "codes": binary_text(column.codes),
        "names": list(column.names),
    }


def _atlas(points: Points, album: Album) -> Atlas:
    tiles: list[Pixels | None] = [album.tiles.get(row) for row in points.row_ids.tolist()]
    side = map_tiles(points).side
    for at, jpeg in enumerate(points.originals, start=len(tiles) - len(points.originals)):
        if jpeg:
            tiles[at] = shrink(np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")), side)
    if all(tile is None for tile in tiles):
        return Atlas(0, np.zeros((len(tiles), 2), np.uint8), ())
    return make_atlas(tiles, side)


PANEL = Panel("map", "Map", gather_points, draw_map, tiles=map_tiles, scripts=SCRIPTS)
