"""Image bytes to pixels: one function, the same pixels as Pillow, at the speed of libjpeg-turbo.

Ordinary 8-bit JPEG (grey, YCbCr, RGB, CMYK; baseline or progressive) goes to simplejpeg at full
scale with the exact DCT and fancy upsampling, which is bit-equal to Pillow's `convert("RGB")` or
`convert("L")`, releases the GIL, and is strict: damaged or truncated data is an error where Pillow
may return a picture that is grey from some row on. Everything else is `shards.decode_pillow`'s.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import numpy as np
import simplejpeg
from PIL import Image

from shards.decode_pillow import Orientation, decode_with_pillow, probe_with_pillow
from shards.errors import ImageError, UsageError
from shards.jpeg_header import (
    BASELINE,
    EXTENDED,
    PROGRESSIVE,
    START,
    JpegHeader,
    read_jpeg_header,
)
from shards.limits import DEFAULT_LIMITS, DecodeLimits
from shards.orientation import upright

__all__ = ["DEFAULT_LIMITS", "DecodeLimits", "Orientation", "decode", "probe_size"]

_SCAN: Final = b"\xff\xda"
# Every scan of a progressive JPEG costs a pass over all coefficients, and an empty one is 20 bytes.
# Encoders write about ten.
_MAX_SCANS: Final = 100
# Complaints of libjpeg that leave the pixels whole, or concern only its front end: Pillow decides.
_HARMLESS: Final = re.compile(
    "extraneous bytes before marker|determine subsampling level|Unknown Adobe color transform"
    "|Invalid SOS parameters for sequential|unknown JFIF revision"
)


def decode(
    data: bytes | memoryview,
    *,
    channels: Literal[1, 3] = 3,
    limits: DecodeLimits = DEFAULT_LIMITS,
    orientation: Orientation = "exif",
) -> np.ndarray:
    """Decode the first frame of an image.

    Args:
        data: encoded image; its kind is told by its first bytes, never by a file name.
        channels: 3 for RGB, 1 for grey (ITU-R 601 luma, as Pillow's "L").
        limits: checked on the header, before any pixel is decoded.
        orientation: "exif" turns the image upright, "stored" leaves it as it lies in the file.

    Returns:
        uint8, (H, W, 3) for 3 channels and (H, W) for 1.

    Raises:
        ImageError: with status undecodable (damaged, truncated, no image), unsupported (a kind that
            is not read) or too_large (beyond `limits`).
        UsageError: for channels other than 1 and 3.
    """
    if channels not in (1, 3):
        raise UsageError(f"channels is {channels}, expected 1 (grey) or 3 (RGB)")
    limits.check_encoded(len(data))
    if data[:3] != START:
        return decode_with_pillow(data, channels=channels, limits=limits, orientation=orientation)
    header = read_jpeg_header(data)
    limits.check_size(header.width, header.height)
    pixels = _decode_jpeg(data, header, channels)
    if pixels is None:
        pixels = decode_with_pillow(data, channels=channels, limits=limits, orientation="stored")
    return upright(pixels, header.orientation) if orientation == "exif" else pixels


def probe_size(
    data: bytes | memoryview, *, limits: DecodeLimits = DEFAULT_LIMITS
) -> tuple[int, int]:
    """Stored (width, height) in pixels from the header alone, before any EXIF orientation.

    Raises:
        ImageError: undecodable or unsupported, where there is no header to read.
    """
    limits.check_encoded(len(data))
    if data[:3] == START:
        header = read_jpeg_header(data)
        return header.width, header.height
    return probe_with_pillow(data, limits)


def _decode_jpeg(data: bytes | memoryview, header: JpegHeader, channels: int) -> np.ndarray | None:
    """Pixels as stored, or None where simplejpeg is too strict and Pillow has to decide."""
    if header.precision != 8 or header.components not in (1, 3, 4):
        raise ImageError(
            f"JPEG of {header.components} components with {header.precision} bits",
            status="unsupported",
        )
    if header.coding not in (BASELINE, EXTENDED, PROGRESSIVE):
        return None
    if header.coding == PROGRESSIVE and bytes(data).count(_SCAN) > _MAX_SCANS:
        raise ImageError(f"progressive JPEG of over {_MAX_SCANS} scans", status="unsupported")
    if header.components == 4:
        colorspace = "CMYK"
    else:
        colorspace = "GRAY" if header.components == channels == 1 else "RGB"
    try:
        pixels = simplejpeg.decode_jpeg(data, colorspace)
    except ValueError as error:
        if _HARMLESS.search(str(error)):
            return None
        raise ImageError(f"damaged JPEG: {error}", status="undecodable") from error
    if pixels.shape[:2] != (header.height, header.width):
        raise ImageError(
            f"JPEG claims {header.width} x {header.height} pixels and holds "
            f"{pixels.shape[1]} x {pixels.shape[0]}",
            status="undecodable",
        )
    if colorspace == "GRAY":
        return pixels[:, :, 0]
    if colorspace == "CMYK":
        # Adobe's convention, which Pillow applies to every CMYK JPEG: stored inverted.
        size = (header.width, header.height)
        cmyk = Image.frombuffer("CMYK", size, 255 - pixels, "raw", "CMYK", 0, 1)
        return np.array(cmyk.convert("RGB" if channels == 3 else "L"))
    if channels == 1:
        return np.array(Image.fromarray(pixels).convert("L"))
    return pixels
