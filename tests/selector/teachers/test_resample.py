from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from selector.teachers.resample import (
    INTERPOLATIONS,
    grey_stack,
    resize_part,
    resize_stack,
    whole_size,
)
from shards.picture import Frame

side = st.integers(1, 70)


def one_by_one(stack: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """What Pillow makes of each image by itself."""
    resampling = Image.Resampling[interpolation.upper()]
    return np.stack(
        [np.asarray(Image.fromarray(one).resize(size[::-1], resampling)) for one in stack]
    )


@given(
    number=st.integers(1, 6),
    height=side,
    width=side,
    size=st.tuples(side, side),
    interpolation=st.sampled_from(INTERPOLATIONS),
    channels=st.sampled_from([(), (3,)]),
    seed=st.integers(0, 99),
)
def test_a_stack_is_resized_like_each_image_to_the_bit(
    number: int,
    height: int,
    width: int,
    size: tuple[int, int],
    interpolation: str,
    channels: tuple[int, ...],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    stack = rng.integers(0, 256, (number, height, width, *channels), np.uint8)
    before = stack.copy()
    resized = resize_stack(stack, size, interpolation)  # type: ignore[arg-type]
    np.testing.assert_array_equal(resized, one_by_one(stack, size, interpolation))
    np.testing.assert_array_equal(stack, before)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_every_filter_agrees_on_a_real_reduction(interpolation: str) -> None:
    stack = np.random.default_rng(1).integers(0, 256, (16, 64, 64, 3), np.uint8)
    np.testing.assert_array_equal(
        resize_stack(stack, (32, 32), interpolation),  # type: ignore[arg-type]
        one_by_one(stack, (32, 32), interpolation),
    )


@given(
    number=st.integers(1, 4),
    size=st.tuples(side, side),
    ratios=st.tuples(*2 * [st.sampled_from([1, 2, 3, 4, 8])]),
    channels=st.sampled_from([(), (3,)]),
    extremes=st.booleans(),
)
def test_area_means_of_whole_ratios_round_as_pillow_does(
    number: int,
    size: tuple[int, int],
    ratios: tuple[int, int],
    channels: tuple[int, ...],
    extremes: bool,
) -> None:
    shape = (number, size[0] * ratios[0], size[1] * ratios[1], *channels)
    rng = np.random.default_rng(number)
    low = 254 if extremes else 0  # sums near the largest, and halves that are rounded twice
    stack = rng.integers(low, 256, shape, np.uint8)
    np.testing.assert_array_equal(resize_stack(stack, size, "box"), one_by_one(stack, size, "box"))


@given(st.integers(1, 4), side, side)
def test_grey_is_pillows(number: int, height: int, width: int) -> None:
    stack = np.random.default_rng(height).integers(0, 256, (number, height, width, 3), np.uint8)
    expected = np.stack([np.asarray(Image.fromarray(one).convert("L")) for one in stack])
    np.testing.assert_array_equal(grey_stack(stack), expected)
    np.testing.assert_array_equal(grey_stack(expected), expected)


@pytest.mark.parametrize("number", [1, 3])
def test_a_part_is_cut_out_and_resized(number: int) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (number, 40, 50, 3), np.uint8)
    cut = np.ascontiguousarray(pixels[:, 5:37, 10:30])
    expected = resize_stack(cut, (9, 7), "bicubic")
    part = (5, 10, 32, 20)
    np.testing.assert_array_equal(resize_part(pixels, part, (9, 7), "bicubic"), expected)
    # The same pixels as those of an image of four times the size: its parts lie on whole pixels.
    frame, at_full_scale = Frame(160, 200, (0, 0, 50, 40)), (20, 40, 128, 80)
    found = resize_part(pixels, at_full_scale, (9, 7), "bicubic", frame)
    np.testing.assert_array_equal(found, expected)
    assert whole_size(pixels, frame) == (160, 200)
    assert whole_size(pixels, None) == (40, 50)


def test_a_part_may_end_inside_of_pixels() -> None:
    ramp = np.repeat(np.arange(0, 240, 4, np.uint8)[None], 8, axis=0)[None]  # 60 pixels of 4 levels
    whole = resize_part(ramp, (0, 0, 64, 480), (1, 10), "box", Frame(64, 480, (0, 0, 60, 8)))
    shorter = resize_part(ramp, (0, 0, 64, 476), (1, 10), "box", Frame(64, 476, (0, 0, 59.5, 8)))
    # Each of ten equal parts ends a little earlier: the last one by half a pixel, or 2 levels.
    assert (whole[0, 0].astype(int) - shorter[0, 0]).tolist() == pytest.approx(
        [0.1 * part + 0.05 * part for part in range(10)], abs=1.5
    )
    assert shorter[0, 0, -1] < whole[0, 0, -1]
