"""Decoded pixels that may be fewer than the image has, and where the image lies in them.

libjpeg can leave out the fine half, three quarters or seven eighths of the detail on the way: a
scale of 1/2, 1/4 or 1/8. Every other fraction is slower than no reduction.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

Box = tuple[float, float, float, float]
"""(left, top, right, bottom), in pixels; fractions are parts of pixels."""

_REDUCTIONS: Final = (8, 4, 2)


class Frame(NamedTuple):
    """Where an image lies in reduced pixels.

    Attributes:
        height, width: of the image at full scale, lying as the pixels do.
        box: of the image in the reduced pixels, at whose borders it may take up parts of pixels.
    """

    height: int
    width: int
    box: Box

    def part(self, top: int, left: int, height: int, width: int) -> Box:
        """Where a part of the image lies, which is given in pixels of full scale."""
        across = (self.box[2] - self.box[0]) / self.width
        down = (self.box[3] - self.box[1]) / self.height
        first_column, first_row = self.box[0] + left * across, self.box[1] + top * down
        return first_column, first_row, first_column + width * across, first_row + height * down


class Picture(NamedTuple):
    """One decoded image.

    Attributes:
        pixels: uint8, (h, w, 3) or (h, w).
        height, width: of the image at full scale, lying as the pixels do.
        frame: where it lies in reduced pixels; None where nothing was reduced.
    """

    pixels: np.ndarray
    height: int
    width: int
    frame: Frame | None = None


def choose_reduction(height: int, width: int, least: tuple[int, int]) -> int:
    """The largest of 8, 4, 2 that leaves at least `least` (height, width) pixels; else 1."""
    for reduction in _REDUCTIONS:
        if height >= least[0] * reduction and width >= least[1] * reduction:
            return reduction
    return 1


def reduced_size(height: int, width: int, reduction: int) -> tuple[int, int]:
    """(height, width) in pixels after a reduction: rounded up, as libjpeg does."""
    return -(-height // reduction), -(-width // reduction)


def reduced_picture(
    pixels: np.ndarray, height: int, width: int, *, reduction: int, orientation: int
) -> Picture:
    """The picture of reduced pixels that have been turned upright.

    Args:
        pixels: after `shards.orientation.upright`.
        height, width: of the image at full scale, upright.
        reduction: 2, 4 or 8.
        orientation: that the pixels were stored with, 1..8; 1 where they were not turned.
    """
    rows, columns = pixels.shape[:2]
    # libjpeg pads at the stored bottom and right; turning may bring that to the top and left.
    used_rows, used_columns = height / reduction, width / reduction
    top = rows - used_rows if orientation in (3, 4, 7, 8) else 0.0
    left = columns - used_columns if orientation in (2, 3, 6, 7) else 0.0
    box = (left, top, left + used_columns, top + used_rows)
    return Picture(pixels, height, width, Frame(height, width, box))
