"""One image made smaller: size rule, filter, encoding."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import simplejpeg
from PIL import Image

from shards.decode import DEFAULT_LIMITS, DecodeLimits, decode
from shards.errors import UsageError
from shards.sample import Data

Interpolation = Literal["box", "bilinear", "bicubic", "lanczos"]
Encoding = Literal["jpeg", "png"]

_FILTERS: Final[dict[str, Image.Resampling]] = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Resizing:
    """How images are made smaller.

    Attributes:
        short_side: pixels of the shorter side, the longer one in proportion; smaller images keep
            their size. Exactly one of this and `exact` is given.
        exact: width and height alike, whatever the proportions; smaller images grow.
        interpolation: Pillow's filter, which averages over all pixels it covers (antialiasing).
            Choose the one with which the teachers resize.
        encoding: "jpeg" (4:2:0), or "png" for exactly the resized pixels, which are then slower
            to decode than most originals.
        quality: of JPEG, 1..100.
        limits: larger images are not decoded.
    """

    short_side: int | None = None
    exact: int | None = None
    interpolation: Interpolation = "bilinear"
    encoding: Encoding = "jpeg"
    quality: int = 95
    limits: DecodeLimits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        if (self.short_side is None) == (self.exact is None):
            raise UsageError("give either the short side or the exact size to resize to")
        size = self.short_side if self.exact is None else self.exact
        if size is None or not 1 <= size <= 16_384:
            raise UsageError(f"size {size}: expected 1 to 16384 pixels")
        if self.interpolation not in _FILTERS:
            raise UsageError(
                f"interpolation {self.interpolation!r}: expected {', '.join(_FILTERS)}"
            )
        if self.encoding not in get_args(Encoding):
            raise UsageError(
                f"encoding {self.encoding!r}: expected {' or '.join(get_args(Encoding))}"
            )
        if not 1 <= self.quality <= 100:
            raise UsageError(f"quality {self.quality}: expected 1 to 100")

    @property
    def extension(self) -> str:
        """Of the images that are made."""
        return "jpg" if self.encoding == "jpeg" else "png"


def target_size(height: int, width: int, how: Resizing) -> tuple[int, int]:
    """(height, width) after resizing; the long side is cut to whole pixels, as torchvision does."""
    if how.exact is not None:
        return how.exact, how.exact
    short = how.short_side
    assert short is not None
    if min(height, width) <= short:
        return height, width
    if height < width:
        return short, int(short * width / height)
    return int(short * height / width), short


def resize_image(data: Data, how: Resizing) -> bytes | None:
    """The encoded smaller image, upright; None where the original has the wanted size already.

    Raises:
        ImageError: the image cannot be decoded.
    """
    pixels = decode(data, limits=how.limits)
    height, width = target_size(pixels.shape[0], pixels.shape[1], how)
    if (height, width) == pixels.shape[:2]:
        return None
    image = Image.fromarray(pixels)
    resized = np.asarray(image.resize((width, height), _FILTERS[how.interpolation]))
    return _encode(_without_colour(resized), how)


def _without_colour(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 1) where all three channels are equal: grey stays one channel in the file, too."""
    red = pixels[:, :, :1]
    return red if np.array_equal(np.broadcast_to(red, pixels.shape), pixels) else pixels


def _encode(pixels: np.ndarray, how: Resizing) -> bytes:
    is_grey = pixels.shape[2] == 1
    if how.encoding == "png":
        buffer = io.BytesIO()
        Image.fromarray(pixels[:, :, 0] if is_grey else pixels).save(buffer, "PNG")
        return buffer.getvalue()
    pixels = np.ascontiguousarray(pixels)
    if is_grey:
        return simplejpeg.encode_jpeg(pixels, how.quality, "GRAY", "Gray")
    return simplejpeg.encode_jpeg(pixels, how.quality, "RGB", "420")
