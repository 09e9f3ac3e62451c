"""Image bytes to a small picture inside the page; always drawn anew, never the bytes as found."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from shards.decode import DEFAULT_LIMITS, DecodeLimits, decode
from shards.jpeg_header import START, read_jpeg_header
from shards.orientation import upright

EXACT_SIDE = 40
"""Images whose longer side is at most this stay what they are, to the pixel."""

LONGER_SIDE = 160
"""Of larger images, at most: sharp at half that size on a dense screen."""

_JPEG_QUALITY = 85
_SMALL_SIDE = 64
_SMALL_QUALITY = 75

Pixels = npt.NDArray[np.uint8]


def thumbnail(data: bytes | memoryview, *, limits: DecodeLimits = DEFAULT_LIMITS) -> str:
    """A `data:` URI of the image: PNG if it is very small, else JPEG, shrunk if it is large.

    Raises:
        ImageError: no image, an unsupported one, or one beyond the limits.
    """
    pixels = decode(data, channels=3, limits=limits)
    if max(pixels.shape) <= EXACT_SIDE:
        return _data_uri(pixels, "PNG", "image/png")
    return _data_uri(shrink(pixels, LONGER_SIDE), "JPEG", "image/jpeg")


def small_pixels(
    data: bytes | memoryview, side: int, *, limits: DecodeLimits = DEFAULT_LIMITS
) -> Pixels:
    """(H, W, 3) with H, W <= side, for tiles by the ten thousand: large JPEGs are decoded small.

    Raises:
        ImageError: as `thumbnail`.
    """
    pixels = _decode_small(data, 2 * side, limits) if data[:3] == START else None
    return shrink(decode(data, channels=3, limits=limits) if pixels is None else pixels, side)


def small_jpeg(data: bytes | memoryview, *, limits: DecodeLimits = DEFAULT_LIMITS) -> bytes:
    """The image as a JPEG of at most 64 pixels a side.

    Raises:
        ImageError: as `thumbnail`.
    """
    buffer = io.BytesIO()
    pixels = small_pixels(data, _SMALL_SIDE, limits=limits)
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_SMALL_QUALITY)
    return buffer.getvalue()


def shrink(pixels: Pixels, longer_side: int) -> Pixels:
    """The same picture with a longer side of at most so many pixels; small ones stay as they are.

    Args:
        pixels: (H, W, 3).
    """
    height, width = pixels.shape[:2]
    scale = longer_side / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(small)


def _decode_small(data: bytes | memoryview, least: int, limits: DecodeLimits) -> Pixels | None:
    """Decoded at a fraction of its size, a fifth of the work; None where `decode` must decide."""
    limits.check_encoded(len(data))
    header = read_jpeg_header(data)
    limits.check_size(header.width, header.height)
    if header.precision != 8 or header.components not in (1, 3):
        return None
    # The shorter side may not be asked for: a narrow picture would be decoded whole.
    longer = {"min_width" if header.width >= header.height else "min_height": least}
    try:
        pixels = simplejpeg.decode_jpeg(data, "RGB", fastdct=True, **longer)
    except ValueError:  # damaged, or odd: the strict decoder tells which
        return None
    return upright(pixels, header.orientation)


def _data_uri(pixels: Pixels, encoder: str, media_type: str) -> str:
    # A third of the bytes for grey images that were decoded to colour.
    grey = bool((pixels == pixels[..., :1]).all())
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0]) if grey else pixels)
    buffer = io.BytesIO()
    image.save(buffer, encoder, optimize=True, quality=_JPEG_QUALITY)
    return f"data:{media_type};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
