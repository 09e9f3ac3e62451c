"""Deterministic views of an image, over which a teacher's answer can be averaged.

A single crop hangs on where the object lies in it. Averaging over the centre, the corners and their
mirror images is the ten-crop evaluation of Krizhevsky et al. (NeurIPS 2012, section 4.1), here over
a pool that nobody labelled. Nothing is drawn at random: a row must have the same bits whenever and
wherever it is scored.

Legend: N images of one size, K crops, S side of the teacher's input, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

import numpy as np

from selector.teachers.resample import Pixels, resize_part, whole_size
from selector.teachers.spec import ViewsName
from shards.picture import Frame

if TYPE_CHECKING:  # whoever only tells what views there are need not load torch
    from selector.teachers.preprocess import Preprocessing


@dataclass(frozen=True)
class Views:
    """Which views.

    Attributes:
        crops: K: 1 = the teacher's own view, 5 = that and the four corners.
        mirrored: the mirror image of each crop is a view too.
    """

    crops: int
    mirrored: bool

    @property
    def count(self) -> int:
        """Forward passes an image."""
        return self.crops * (1 + self.mirrored)


VIEWS: dict[ViewsName, Views] = {
    "one": Views(1, mirrored=False),
    "flip": Views(1, mirrored=True),
    "five": Views(5, mirrored=False),
    "ten": Views(5, mirrored=True),
}
"""What a user may ask for; the first is the default. Another meaning would need another name."""

assert tuple(VIEWS) == get_args(ViewsName)

_CORNERS = 4


def views_text(name: ViewsName) -> str:
    """One line for a reader of scores."""
    return f"scores: averages over {VIEWS[name].count} views of an image ({name})"


def margin(crop: int) -> int:
    """Pixels by which the larger image exceeds a crop that fills the teacher's own: 256 for 224.

    A seventh of the crop, as a whole number of pixels on either side: 32 -> 36, 28 -> 32.
    """
    return 2 * max(1, round(crop / 14))


def crop_stack(
    preprocessing: Preprocessing, crops: int, pixels_NHW: Pixels, frame: Frame | None = None
) -> Pixels:
    """The teacher's own view of N images of one size and, for 5 crops, their four corners.

    A teacher that crops what it has resized gets its corners from there: with the centre, these are
    torchvision's FiveCrop of the stock transform. One whose resize leaves nothing to crop gets
    corners of a resize that is larger by `margin`; its own view stays the whole image. What is
    still no longer than the crop (small images that are not resized) gets a border of zeros up to
    that margin.

    Args:
        crops: 1 or 5.
        pixels_NHW, frame: as for `Preprocessing.apply_stack`.

    Returns:
        uint8 (K, N, S, S, C): own, top left, top right, bottom left, bottom right.

    Raises:
        ImageError: too_large, where the aspect ratio would blow the resized image up.
    """
    assert crops in (1, 1 + _CORNERS)
    own_NHWC = preprocessing.apply_stack(pixels_NHW, frame)
    if crops == 1:
        return own_NHWC[None]
    corners = (
        _corners_of_original(preprocessing, pixels_NHW, frame)
        if preprocessing.resize_mode == "center_fraction"
        else _corners_of_resized(preprocessing, pixels_NHW, frame)
    )
    return np.stack([own_NHWC, *(one.reshape(own_NHWC.shape) for one in corners)])


def enlarged(resize: int, crop: int) -> int:
    """Side of a resize that leaves something to crop: itself, or larger by `margin`."""
    return resize if resize > crop else resize + margin(crop)


def _corners_of_resized(
    preprocessing: Preprocessing, pixels_NHW: Pixels, frame: Frame | None
) -> list[Pixels]:
    side = preprocessing.crop
    larger = side + margin(side)
    resize = preprocessing.resize
    if isinstance(resize, tuple):
        resize = (enlarged(resize[0], side), enlarged(resize[1], side))
    elif resize is not None:
        resize = enlarged(resize, side)
    canvas_NHW = replace(preprocessing, resize=resize).resized_stack(pixels_NHW, frame)
    height, width = canvas_NHW.shape[1:3]
    border = [(0, 0)]
    for length in (height, width):
        missing = 0 if length > side else larger - length
        border.append((missing // 2, (missing + 1) // 2))
    canvas_NHW = np.pad(canvas_NHW, border + [(0, 0)] * (canvas_NHW.ndim - 3))
    return _corners(canvas_NHW, side)


def _corners_of_original(
    preprocessing: Preprocessing, pixels_NHW: Pixels, frame: Frame | None
) -> list[Pixels]:
    """TensorFlow's way: cut first, then resize the square."""
    side, resize = preprocessing.crop, preprocessing.resize
    assert isinstance(resize, int)
    height, width = whole_size(pixels_NHW, frame)
    cut = max(1, min(height, width) * side // enlarged(resize, side))
    return [
        resize_part(
            pixels_NHW, (top, left, cut, cut), (side, side), preprocessing.interpolation, frame
        )
        for top in (0, height - cut)
        for left in (0, width - cut)
    ]


def _corners(pixels_NHW: Pixels, side: int) -> list[Pixels]:
    """Top left, top right, bottom left, bottom right."""
    height, width = pixels_NHW.shape[1:3]
    return [
        pixels_NHW[:, top : top + side, left : left + side]
        for top in (0, height - side)
        for left in (0, width - side)
    ]
