"""Image bytes to pixels: one function, the same pixels as Pillow, at the speed of libjpeg-turbo.

Ordinary 8-bit JPEG (grey, YCbCr, RGB, CMYK; baseline or progressive) goes to simplejpeg at full
scale with the exact DCT and fancy upsampling, which is bit-equal to Pillow's `convert("RGB")` or
`convert("L")`, releases the GIL, and is strict: damaged or truncated data is an error where Pillow
may return a picture that is grey from some row on. Everything else is `shards.decode_pillow`'s.
A caller who says how many pixels are enough gets fewer of a large JPEG, sooner (`decode_picture`).
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
from shards.picture import Picture, choose_reduction, reduced_picture, reduced_size

__all__ = [
    "DEFAULT_LIMITS",
    "DecodeLimits",
    "Orientation",
    "Picture",
    "decode",
    "decode_picture",
    "probe_size",
]

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
    picture = decode_picture(data, channels=channels, limits=limits, orientation=orientation)
    return picture.pixels


def decode_picture(
    data: bytes | memoryview,
    *,
    least: tuple[int, int] | None = None,
    channels: Literal[1, 3] = 3,
    limits: DecodeLimits = DEFAULT_LIMITS,
    orientation: Orientation = "exif",
) -> Picture:
    """Decode the first frame of an image, a large JPEG to fewer pixels if those are enough.

    Args:
        least: (height, width) in pixels that are enough, of the image as it is returned; None =
            all there are. A JPEG is decoded at the smallest of the scales 1/1, 1/2, 1/4, 1/8 that
            leaves as many; every other image whole.
        data, channels, limits, orientation: as for `decode`. Limits are for the whole image.

    Returns:
        Pixels as of `decode`, and the size of the whole image.

    Raises:
        ImageError, UsageError: as `decode`.
    """
    if channels not in (1, 3):
        raise UsageError(f"channels is {channels}, expected 1 (grey) or 3 (RGB)")
    limits.check_encoded(len(data))
    if data[:3] != START:
        pixels = decode_with_pillow(data, channels=channels, limits=limits, orientation=orientation)
        return Picture(pixels, *pixels.shape[:2])
    header = read_jpeg_header(data)
    limits.check_size(header.width, header.height)
    turn = header.orientation if orientation == "exif" else 1
    reduction = 1
    if least is not None:
        stored_least = least if turn < 5 else least[::-1]
        reduction = choose_reduction(header.height, header.width, stored_least)
    stored = _decode_jpeg(data, header, channels, reduction)
    if stored is None:
        reduction = 1
        stored = decode_with_pillow(data, channels=channels, limits=limits, orientation="stored")
    pixels = upright(stored, turn)
    if reduction == 1:
        return Picture(pixels, *pixels.shape[:2])
    height, width = (header.height, header.width) if turn < 5 else (header.width, header.height)
    return reduced_picture(pixels, height, width, reduction=reduction, orientation=turn)


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


def _decode_jpeg(
    data: bytes | memoryview, header: JpegHeader, channels: int, reduction: int
) -> np.ndarray | None:
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
    height, width = reduced_size(header.height, header.width, reduction)
    # Asked for the very size that a scale of 1 / reduction gives, simplejpeg takes that scale: the
    # next smaller one has fewer pixels.
    wanted = {} if reduction == 1 else {"min_height": height, "min_width": width}
    try:
        pixels = simplejpeg.decode_jpeg(data, colorspace, **wanted)
    except ValueError as error:
        if _HARMLESS.search(str(error)):
            return None
        raise ImageError(f"damaged JPEG: {error}", status="undecodable") from error
    if pixels.shape[:2] != (height, width):
        at_scale = "" if reduction == 1 else f", at 1/{reduction} of its scale"
        raise ImageError(
            f"JPEG claims {width} x {height} pixels and holds "
            f"{pixels.shape[1]} x {pixels.shape[0]}{at_scale}",
            status="undecodable",
        )
    if colorspace == "GRAY":
        return pixels[:, :, 0]
    if colorspace == "CMYK":
        # Adobe's convention, which Pillow applies to every CMYK JPEG: stored inverted.
        cmyk = Image.frombuffer("CMYK", (width, height), 255 - pixels, "raw", "CMYK", 0, 1)
        return np.array(cmyk.convert("RGB" if channels == 3 else "L"))
    if channels == 1:
        return np.array(Image.fromarray(pixels).convert("L"))
    return pixels
