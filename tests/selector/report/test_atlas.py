"""atlas: tiles lie where a script will look for them."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from selector.report import atlas as module
from selector.report.atlas import PIXELS, SHEET_SIDE, SIDES, make_atlas, tile_side


def flat(colour: int, height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def decoded(sheet: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet))))


def test_tiles_keep_their_order_size_and_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHEET_SIDE", 48)  # 3 x 3 tiles of 16
    colours = [20 * i for i in range(11)]
    tiles = [None if i == 4 else flat(c, 16 - i % 3, 16) for i, c in enumerate(colours)]
    atlas = make_atlas(tiles, 16)
    assert len(atlas.sheets) == 2
    assert atlas.sizes[4].tolist() == [0, 0]
    assert atlas.sizes[5].tolist() == [16, 14]
    for i, colour in enumerate(colours):
        sheet, at = decoded(atlas.sheets[i // 9]), i % 9
        pixel = sheet[at // 3 * 16 + 6, at % 3 * 16 + 6]
        assert abs(int(pixel[0]) - (128 if i == 4 else colour)) < 4
    assert decoded(atlas.sheets[1]).shape == (16, 48, 3)


def test_every_side_divides_a_sheet() -> None:
    assert all(SHEET_SIDE % side == 0 for side in SIDES)


@given(st.integers(1, 100_000), st.integers(0, 5000))
def test_sides_fit_the_budget_and_the_pictures(num_tiles: int, largest: int) -> None:
    side = tile_side(num_tiles, largest)
    assert side in SIDES
    assert side == SIDES[0] or num_tiles * side * side <= PIXELS
    assert side <= max(next((s for s in SIDES if s >= largest), SIDES[-1]), SIDES[0])


def test_fifty_thousand_tiles_are_small_and_a_few_thousand_large() -> None:
    assert tile_side(50_000, 500) == 24
    assert tile_side(3000, 500) == 96
    assert tile_side(3000, 32) == 32
