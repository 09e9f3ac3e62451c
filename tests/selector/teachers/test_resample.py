from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from selector.teachers.resample import INTERPOLATIONS, grey_stack, resize_box, resize_stack

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


def test_a_box_between_pixels_is_a_part_cut_out() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (40, 50, 3), np.uint8)
    whole = resize_box(pixels, (0, 0, 50, 40), (9, 7), "bilinear")
    np.testing.assert_array_equal(whole, resize_stack(pixels[None], (9, 7), "bilinear")[0])
    part = resize_box(pixels, (10, 5, 30, 37), (9, 7), "bicubic")
    cut = np.ascontiguousarray(pixels[5:37, 10:30])
    np.testing.assert_array_equal(part, resize_stack(cut[None], (9, 7), "bicubic")[0])
    shifted = resize_box(pixels[:, :, 0], (10.5, 5.25, 30.5, 37.25), (9, 7), "box")
    assert shifted.shape == (9, 7)
    assert not np.array_equal(shifted, resize_stack(cut[None, :, :, 0], (9, 7), "box")[0])
