"""Pillow's resize on many images of one size with two calls, bit-equal to one call per image.

Pillow resizes 8-bit images in two passes, first along the rows, and rounds to 8 bits in between.
Neither pass mixes lines that lie across it. So a pile of images, one above the other, goes through
the horizontal pass as one tall image, and side by side through the vertical pass as one wide image.
On thumbnails this saves a third of the time, which goes into wrapping arrays into images and back.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

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
    channels = pixels_NHW.shape[3:]
    if (height, width) == size:
        return pixels_NHW
    if num_images == 1:
        return _resize(pixels_NHW[0], size, interpolation)[None]
    new_height, new_width = size
    if new_width != width:
        tall = pixels_NHW.reshape(num_images * height, width, *channels)
        tall = _resize(tall, (num_images * height, new_width), interpolation)
        pixels_NHW = tall.reshape(num_images, height, new_width, *channels)
    if new_height != height:
        # (N, H, w) -> (H, N, w) -> one image of N * w columns.
        wide = np.ascontiguousarray(pixels_NHW.swapaxes(0, 1))
        wide = wide.reshape(height, num_images * new_width, *channels)
        wide = _resize(wide, (new_height, num_images * new_width), interpolation)
        pixels_NHW = wide.reshape(new_height, num_images, new_width, *channels).swapaxes(0, 1)
    return pixels_NHW


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


def _resize(pixels: Pixels, size: tuple[int, int], interpolation: Interpolation) -> Pixels:
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((size[1], size[0]), _FILTERS[interpolation]))
