"""Every kind of image but ordinary JPEG: Pillow decodes, this module decides what pixels mean.

Pillow's plugins are called directly, by the first bytes. `Image.open` would also try the formats
nobody puts in a pool (each one a parser for untrusted bytes), and would warn by its own idea of a
decompression bomb; the limits here are checked before any pixel is decoded.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from typing import Final, Literal

import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from shards.errors import ImageError
from shards.limits import DecodeLimits
from shards.orientation import as_stored, read_orientation, upright

# Metadata that Pillow cannot read is told by warnings and log lines, once per image, from every
# decode thread. What matters here is whether there are pixels: a return value or an error.
warnings.filterwarnings("ignore", module=r"PIL\.(Tiff|Png)ImagePlugin")
logging.getLogger("PIL").addHandler(logging.NullHandler())

_PLUGINS: Final[tuple[tuple[re.Pattern[bytes], type[ImageFile.ImageFile]], ...]] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PngImageFile),
    (re.compile(rb"\xff\xd8\xff"), JpegImageFile),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), WebPImageFile),
    (re.compile(rb"GIF8[79]a"), GifImageFile),
    (re.compile(rb"BM"), BmpImageFile),
    (re.compile(rb"II[\x2a\x2b]\x00|MM\x00[\x2a\x2b]"), TiffImageFile),
    (re.compile(rb"P[1-6]\s"), PpmImageFile),
)
_KNOWN_UNSUPPORTED: Final[tuple[tuple[re.Pattern[bytes], str], ...]] = (
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), "AVIF"),
    (re.compile(rb"....ftyp(heic|heix|hevc|mif1|msf1)", re.DOTALL), "HEIC"),
    (re.compile(rb"\xff\x0a|\x00\x00\x00\x0cJXL "), "JPEG XL"),
    (re.compile(rb"\xff\x4f\xff\x51|\x00\x00\x00\x0cjP  "), "JPEG 2000"),
    (re.compile(rb"8BPS"), "Photoshop"),
    (re.compile(rb"\x00\x00\x01\x00"), "icon"),
    (re.compile(rb"\s*(<\?xml[^>]*>\s*)?<svg"), "SVG"),
)
_TIFF_ORIENTATION: Final = 0x0112
_WEBP_HEADER_BYTES: Final = 30

Orientation = Literal["exif", "stored"]


def decode_with_pillow(
    data: bytes | memoryview, *, channels: int, limits: DecodeLimits, orientation: Orientation
) -> np.ndarray:
    """Pixels uint8, (H, W, 3) for 3 channels and (H, W) for 1.

    First frame of an animation; alpha is dropped, not blended, as `convert("RGB")` does; 16 bits
    become the upper 8, which is what Pillow itself does to 16-bit colour. Strict about truncated
    data unless the process has set Pillow's own `LOAD_TRUNCATED_IMAGES`.

    Raises:
        ImageError: undecodable, unsupported or too_large.
    """
    try:
        with _open(data, limits) as image:
            limits.check_size(*image.size)
            stored_as = _orientation(image)
            image.load()
            # A PNG may carry its Exif behind the pixels.
            stored_as = _orientation(image) if stored_as == 1 else stored_as
            is_upright = image.format == "TIFF"
            pixels = _to_uint8(image, channels)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(str(error), status="too_large") from error
    except Exception as error:
        # Untrusted bytes drive Python parsers: besides OSError they raise SyntaxError, ValueError,
        # struct.error, KeyError, MemoryError, ... Each means the same: no pixels in here.
        raise ImageError(f"{type(error).__name__}: {error}", status="undecodable") from error
    if orientation == "exif":
        return pixels if is_upright else upright(pixels, stored_as)
    return as_stored(pixels, stored_as) if is_upright else pixels


def probe_with_pillow(data: bytes | memoryview, limits: DecodeLimits) -> tuple[int, int]:
    """Stored (width, height) from the header alone.

    Raises:
        ImageError: undecodable, unsupported, or too_large (a WebP is not even opened then).
    """
    try:
        with _open(data, limits) as image:
            width, height = image.size
            is_turned = image.format == "TIFF" and _orientation(image) >= 5
    except ImageError:
        raise
    except Exception as error:
        # As above: any exception of a plugin means that the header is damaged.
        raise ImageError(f"{type(error).__name__}: {error}", status="undecodable") from error
    return (height, width) if is_turned else (width, height)


def _open(data: bytes | memoryview, limits: DecodeLimits) -> ImageFile.ImageFile:
    """The image with its header read; no pixel is decoded yet."""
    start = bytes(data[:64])
    for magic, plugin in _PLUGINS:
        if magic.match(start):
            if plugin is WebPImageFile:
                _check_webp_canvas(start, limits)
            return plugin(io.BytesIO(data))
    for magic, name in _KNOWN_UNSUPPORTED:
        if magic.match(start):
            raise ImageError(f"{name}: convert it to JPEG, PNG or WebP first", status="unsupported")
    raise ImageError(f"not an image: it starts with {start[:12]!r}", status="undecodable")


def _check_webp_canvas(start: bytes, limits: DecodeLimits) -> None:
    """Pillow allocates two whole canvases on opening a WebP, so its claim is read first."""
    header = start[:_WEBP_HEADER_BYTES].ljust(_WEBP_HEADER_BYTES, b"\0")
    kind = header[12:16]
    if kind == b"VP8X":
        width = 1 + int.from_bytes(header[24:27], "little")
        height = 1 + int.from_bytes(header[27:30], "little")
    elif kind == b"VP8L":
        bits = int.from_bytes(header[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width = int.from_bytes(header[26:28], "little") & 0x3FFF
        height = int.from_bytes(header[28:30], "little") & 0x3FFF
    limits.check_size(width, height)


def _orientation(image: ImageFile.ImageFile) -> int:
    if isinstance(image, TiffImageFile):
        tag = image.tag_v2.get(_TIFF_ORIENTATION, 1)
        return tag if isinstance(tag, int) and 1 <= tag <= 8 else 1
    exif = image.info.get("exif")
    return read_orientation(exif) if isinstance(exif, bytes) else 1


def _to_uint8(image: Image.Image, channels: int) -> np.ndarray:
    """Pixels of a loaded image, by what its Pillow mode means."""
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format in ("PNG", "PPM")):
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return grey if channels == 1 else np.repeat(grey[:, :, None], 3, axis=2)
    if mode in ("I", "F"):
        raise ImageError(
            "32-bit or float pixels have no fixed range; convert to 8 or 16 bits first",
            status="unsupported",
        )
    # A transparent colour has no say in the pixels below, but convert() would look it up and warn.
    image.info.pop("transparency", None)
    if mode == "RGBa":  # premultiplied, converts to RGBA only
        image = image.convert("RGBA")
    try:
        return np.array(image.convert("RGB" if channels == 3 else "L"))
    except ValueError as error:
        raise ImageError(f"pixels of mode {mode}: {error}", status="unsupported") from error
