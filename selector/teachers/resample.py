"""Pillow's resize on many images of one size with two calls, bit-equal to one call per image.

Pillow resizes 8-bit images in two passes, along the rows and along the columns, and rounds to
8 bits in between. Neither pass mixes lines that lie across it. So a pile of images, one above the
other, goes through the horizontal pass as one tall image, and side by side through the vertical
pass as one wide image. On thumbnails this saves a third of the time, which goes into wrapping
arrays into images and back.

Which pass Pillow does first depends on the sizes and on its version, and it shows in the last bit.
So that is not assumed but observed, once for every pair of sizes.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from shards.picture import Frame

Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]

_FILTERS: dict[str, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
INTERPOLATIONS = tuple(_FILTERS)

_EVEN_RATIOS = frozenset({1.0, 2.0, 4.0, 8.0})

Pixels = npt.NDArray[np.uint8]


def resize_stack(pixels_NHW: Pixels, size: tuple[int, int], interpolation: Interpolation) -> Pixels:
    """Resize N images of one size exactly as `Image.resize` resizes each.

    Args:
        pixels_NHW: uint8 (N, H, W) or (N, H, W, 3), N >= 1.
        size: (height, width) of the results.
        interpolation: Pillow's filter.

    Returns:
        uint8 (N, height, width) or (N, height, width, 3).
    """
    num_images, height, width = pixels_NHW.shape[:3]
    if (height, width) == size:
        return pixels_NHW
    even = interpolation == "box" and {height / size[0], width / size[1]} <= _EVEN_RATIOS
    if num_images == 1 and not even:
        return _resize(pixels_NHW[0], size, interpolation)[None]
    match _order_of_passes((height, width), size, interpolation):
        case "rows_first" if even:
            narrow = _area_means(pixels_NHW, width // size[1], axis=2)
            return _area_means(narrow, height // size[0], axis=1)
        case "columns_first" if even:
            low = _area_means(pixels_NHW, height // size[0], axis=1)
            return _area_means(low, width // size[1], axis=2)
        case "rows_first":
            narrow = _resize_rows(pixels_NHW, size[1], interpolation)
            return _resize_columns(narrow, size[0], interpolation)
        case "columns_first":
            low = _resize_columns(pixels_NHW, size[0], interpolation)
            return _resize_rows(low, size[1], interpolation)
        case _:
            return np.stack([_resize(one, size, interpolation) for one in pixels_NHW])


def whole_size(pixels_NHW: Pixels, frame: Frame | None) -> tuple[int, int]:
    """(height, width) at full scale of images of one size, whole or reduced."""
    if frame is not None:
        return frame.height, frame.width
    return pixels_NHW.shape[1], pixels_NHW.shape[2]


def resize_part(
    pixels_NHW: Pixels,
    part: tuple[int, int, int, int],
    size: tuple[int, int],
    interpolation: Interpolation,
    frame: Frame | None = None,
) -> Pixels:
    """Cut the same part out of N images of one size and resize it.

    Args:
        pixels_NHW: uint8 (N, H, W) or (N, H, W, 3), N >= 1.
        part: (top, left, height, width) in pixels of full scale.
        size: (height, width) of the results.
        interpolation: Pillow's filter. It reads the pixels that the part touches, and no others.
        frame: of images that are reduced; None = they are whole.

    Returns:
        uint8 (N, height, width) or (N, height, width, 3).
    """
    top, left, height, width = part
    if frame is None:
        if (height, width) != pixels_NHW.shape[1:3]:
            pixels_NHW = pixels_NHW[:, top : top + height, left : left + width]
            pixels_NHW = np.ascontiguousarray(pixels_NHW)
        return resize_stack(pixels_NHW, size, interpolation)
    box = frame.part(*part)
    return np.stack([_resize_box(pixels, box, size, interpolation) for pixels in pixels_NHW])


def grey_stack(pixels_NHW: Pixels) -> Pixels:
    """ITU-R 601-2 luma of N images as Pillow's `convert("L")` rounds it; grey images as they are.

    Args:
        pixels_NHW: uint8 (N, H, W) or (N, H, W, 3).

    Returns:
        uint8 (N, H, W).
    """
    if pixels_NHW.ndim == 3:
        return pixels_NHW
    num_images, height, width = pixels_NHW.shape[:3]
    tall = Image.fromarray(pixels_NHW.reshape(num_images * height, width, 3))
    return np.asarray(tall.convert("L")).reshape(num_images, height, width)


def _area_means(pixels_NHW: Pixels, ratio: int, *, axis: int) -> Pixels:
    """Means of `ratio` neighbours along an axis, a half rounded up: Pillow's box filter for whole
    powers of two, whose weights have no rounding of their own; a fifth of its time on thumbnails.
    """
    if ratio == 1:
        return pixels_NHW
    before = (slice(None),) * axis
    sums = pixels_NHW[(*before, slice(0, None, ratio))].astype(np.uint16)
    for offset in range(1, ratio):
        sums += pixels_NHW[(*before, slice(offset, None, ratio))]
    sums += ratio // 2
    sums >>= ratio.bit_length() - 1
    return sums.astype(np.uint8)


def _resize(pixels: Pixels, size: tuple[int, int], interpolation: Interpolation) -> Pixels:
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((size[1], size[0]), _FILTERS[interpolation]))


def _resize_box(
    pixels: Pixels,
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    interpolation: Interpolation,
) -> Pixels:
    """Resize what lies in a box whose borders may lie inside of pixels."""
    left, top = math.floor(box[0]), math.floor(box[1])
    touched = pixels[top : math.ceil(box[3]), left : math.ceil(box[2])]
    within = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    image = Image.fromarray(np.ascontiguousarray(touched))
    return np.asarray(image.resize((size[1], size[0]), _FILTERS[interpolation], box=within))


def _resize_rows(pixels_NHW: Pixels, width: int, interpolation: Interpolation) -> Pixels:
    """(N, H, W, ...) -> (N, H, width, ...): the images lie one above the other."""
    num_images, height, old_width, *channels = pixels_NHW.shape
    if old_width == width:
        return pixels_NHW
    tall = np.ascontiguousarray(pixels_NHW).reshape(num_images * height, old_width, *channels)
    tall = _resize(tall, (num_images * height, width), interpolation)
    return tall.reshape(num_images, height, width, *channels)


def _resize_columns(pixels_NHW: Pixels, height: int, interpolation: Interpolation) -> Pixels:
    """(N, H, W, ...) -> (N, height, W, ...): the images lie side by side."""
    num_images, old_height, width, *channels = pixels_NHW.shape
    if old_height == height:
        return pixels_NHW
    wide = np.ascontiguousarray(pixels_NHW.swapaxes(0, 1))
    wide = wide.reshape(old_height, num_images * width, *channels)
    wide = _resize(wide, (height, num_images * width), interpolation)
    return wide.reshape(height, num_images, width, *channels).swapaxes(0, 1)


@lru_cache(maxsize=4096)
def _order_of_passes(
    old: tuple[int, int], new: tuple[int, int], interpolation: Interpolation
) -> Literal["rows_first", "columns_first", "unknown"]:
    """What Pillow does on noise of this size: the true order always agrees, the other hardly."""
    if old[0] == new[0] or old[1] == new[1]:
        return "rows_first"  # there is one pass only
    noise = np.random.default_rng(0).integers(0, 256, old, np.uint8)
    expected = _resize(noise, new, interpolation)
    by_rows = _resize(_resize(noise, (old[0], new[1]), interpolation), new, interpolation)
    by_columns = _resize(_resize(noise, (new[0], old[1]), interpolation), new, interpolation)
    rows_agree = np.array_equal(by_rows, expected)
    columns_agree = np.array_equal(by_columns, expected)
    if rows_agree == columns_agree:
        return "unknown"
    return "rows_first" if rows_agree else "columns_first"
