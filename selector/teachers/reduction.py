"""How far a `fast` preprocessing lets a JPEG be reduced by the decoder, before it is resized.

The decoder's reduction is a coarse resize: it keeps the lowest frequencies of each block of 8 x 8
pixels. As long as enough pixels are left for the true resize behind it, what the network gets
hardly differs. How many are enough was calibrated on one half of a set of images and checked on the
other: `python -m benchmarks.fast_gate`.
"""

from __future__ import annotations

import math

from selector.scores.hashes import GREY_SIDE
from selector.teachers.views import enlarged

MARGIN = 2.0
"""Pixels a side left by the decoder, over those that the resize makes of them; at least."""

SMALL_SIDE = 224
"""A resize to fewer pixels is a small one: networks of small inputs tell finer differences."""

SMALL_MARGIN = 6.0
"""The same as `MARGIN` for small ones."""

HASH_MARGIN = 2
"""The same for the thumbnail of the perceptual hash."""


def margin_for(side: int) -> float:
    """The margin that was calibrated for a resize to `side` pixels."""
    return MARGIN if side >= SMALL_SIDE else SMALL_MARGIN


def least_pixels(
    resize: int | tuple[int, int] | None,
    resize_mode: str,
    interpolation: str,
    *,
    crop: int,
    margin: float | None = None,
    hash_margin: float = HASH_MARGIN,
) -> tuple[int, int] | None:
    """(height, width) in pixels that a decoder has to leave of an image; None = all of them.

    Args:
        resize, resize_mode, interpolation, crop: as in
            `selector.teachers.preprocess.Preprocessing`.
        margin: None = as calibrated for this size.
    """
    # What is not resized must come whole; and "nearest" picks single pixels of the whole image.
    if resize is None or resize_mode == "none" or interpolation == "nearest":
        return None
    # short_side and center_fraction scale both sides alike, by the shorter one.
    height, width = (resize, resize) if isinstance(resize, int) else resize
    # Enough for the largest of the views too, whether or not they are asked for: features are of
    # the teacher's own view, and the same from a pass with more.
    height, width = enlarged(height, crop), enlarged(width, crop)
    if margin is None:
        margin = margin_for(min(height, width))
    hashed = math.ceil(hash_margin * GREY_SIDE)
    return max(hashed, math.ceil(margin * height)), max(hashed, math.ceil(margin * width))
