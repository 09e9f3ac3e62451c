from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selector.scores.hashes import GREY_SIDE
from selector.teachers.reduction import (
    HASH_MARGIN,
    MARGIN,
    SMALL_MARGIN,
    SMALL_SIDE,
    least_pixels,
    margin_for,
)


@given(resize=st.integers(9, 8192), margin=st.floats(1, 8))
def test_a_margin_over_what_the_resize_makes(resize: int, margin: float) -> None:
    for mode in ("short_side", "center_fraction"):
        found = least_pixels(resize, mode, "bilinear", crop=8, margin=margin, hash_margin=1)
        assert found == (max(GREY_SIDE, math.ceil(margin * resize)),) * 2


def test_the_largest_of_the_views_is_provided_for() -> None:
    assert least_pixels(112, "squash", "bicubic", crop=112) == (
        128 * SMALL_MARGIN,
        128 * SMALL_MARGIN,
    )
    assert least_pixels((224, 300), "squash", "bicubic", crop=224) == (256 * MARGIN, 300 * MARGIN)
    assert margin_for(SMALL_SIDE) == MARGIN
    assert margin_for(SMALL_SIDE - 1) == SMALL_MARGIN


def test_the_perceptual_hash_keeps_its_own_margin() -> None:
    found = least_pixels(8, "squash", "bilinear", crop=8, margin=1)
    assert found == (GREY_SIDE * HASH_MARGIN,) * 2


@pytest.mark.parametrize(
    ("resize", "mode", "interpolation"),
    [(None, "none", "bilinear"), (32, "squash", "nearest"), (32, "short_side", "nearest")],
)
def test_what_reads_single_pixels_comes_whole(
    resize: int | None, mode: str, interpolation: str
) -> None:
    assert least_pixels(resize, mode, interpolation, crop=32) is None
