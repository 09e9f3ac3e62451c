"""Image bytes to a small picture inside the page; always drawn anew, never the bytes as found."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from shards.decode import DEFAULT_LIMITS, DecodeLimits, decode

EXACT_SIDE = 40
"""Images whose longer side is at most this stay what they are, to the pixel."""

LONGER_SIDE = 160
"""Of larger images, at most: sharp at half that size on a dense screen."""

_JPEG_QUALITY = 85


def thumbnail(data: bytes | memoryview, *, limits: DecodeLimits = DEFAULT_LIMITS) -> str:
    """A `data:` URI of the image: PNG if it is very small, else JPEG, shrunk if it is large.

    Raises:
        ImageError: no image, an unsupported one, or one beyond the limits.
    """
    pixels = decode(data, channels=3, limits=limits)
    height, width = pixels.shape[:2]
    if max(height, width) <= EXACT_SIDE:
        return _data_uri(pixels, "PNG", "image/png")
    scale = min(1.0, LONGER_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    shrunk = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return _data_uri(np.asarray(shrunk), "JPEG", "image/jpeg")


def _data_uri(pixels: np.ndarray, encoder: str, media_type: str) -> str:
    # A third of the bytes for grey images that were decoded to colour.
    grey = bool((pixels == pixels[..., :1]).all())
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0]) if grey else pixels)
    buffer = io.BytesIO()
    image.save(buffer, encoder, optimize=True, quality=_JPEG_QUALITY)
    return f"data:{media_type};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
