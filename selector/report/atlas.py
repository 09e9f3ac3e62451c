"""Thousands of small pictures in a few large ones: the sheets from which a map shows its images.

A page cannot hold fifty thousand picture elements; it can hold some sheets and cut from them.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np
import numpy.typing as npt
from PIL import Image

from selector.report.thumbnails import Pixels

PIXELS = 29_000_000
"""Of all tiles together: some 10 MB as JPEG; 24 pixels a side for 50,000 of them."""

SIDES = (16, 24, 32, 48, 64, 96)
SHEET_SIDE = 1920
"""A multiple of every tile's side; small enough to be decoded at once by any browser."""

_QUALITY = 72


@dataclass(frozen=True)
class Atlas:
    """Sheets of tiles, row by row.

    Attributes:
        side: of a tile, pixels; 0 without any.
        sizes: (N, 2) uint8 width and height of each picture, which lies in the upper left of its
            tile; 0 for one that is missing.
        sheets: JPEG files, base64.
    """

    side: int
    sizes: npt.NDArray[np.uint8]
    sheets: tuple[str, ...]


def tile_side(num_tiles: int, largest: int) -> int:
    """The largest side for which so many tiles stay small enough in all.

    Args:
        largest: longer side of the pictures themselves, which need no larger tile.
    """
    fitting = isqrt(PIXELS // max(num_tiles, 1))
    useful = next((side for side in SIDES if side >= largest), SIDES[-1])
    return max([side for side in SIDES if side <= min(fitting, useful)], default=SIDES[0])


def make_atlas(tiles: Sequence[Pixels | None], side: int) -> Atlas:
    """Lay tiles out in sheets, in order.

    Args:
        tiles: (H, W, 3) with H, W <= side; None for one that is missing.
    """
    sizes = np.zeros((len(tiles), 2), np.uint8)
    per_row = SHEET_SIDE // side
    per_sheet = per_row * per_row
    sheets = []
    for first in range(0, len(tiles), per_sheet):
        some = tiles[first : first + per_sheet]
        rows = -(-len(some) // per_row)
        sheet = np.full((rows * side, SHEET_SIDE, 3), 128, np.uint8)
        for number, tile in enumerate(some):
            if tile is None:
                continue
            height, width = tile.shape[:2]
            top, left = number // per_row * side, number % per_row * side
            # The rest of the tile repeats the picture's edge, which no codec has to draw.
            padding = ((0, side - height), (0, side - width), (0, 0))
            sheet[top : top + side, left : left + side] = np.pad(tile, padding, mode="edge")
            sizes[first + number] = (width, height)
        sheets.append(_jpeg(sheet, side))
    return Atlas(side, sizes, tuple(sheets))


def _jpeg(pixels: Pixels, side: int) -> str:
    buffer = io.BytesIO()
    # Colour at full resolution where blocks of 16 pixels would mix that of neighbouring tiles.
    subsampling = "4:4:4" if side % 16 else "4:2:0"
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY, subsampling=subsampling)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
