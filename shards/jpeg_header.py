"""What a JPEG says of itself before any pixel: size, kind of coding, orientation.

A walk over the marker segments up to the frame header: a handful of steps for an ordinary file, so
it costs a few microseconds where a full header parse costs as much as a thumbnail's pixels.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from shards.errors import ImageError
from shards.orientation import EXIF_PREFIX, read_orientation

START: Final = b"\xff\xd8\xff"
"""The first bytes of every JPEG."""

BASELINE: Final = 0xC0
EXTENDED: Final = 0xC1
PROGRESSIVE: Final = 0xC2

# SOF0..SOF15 without the three codes that mean other things (DHT, JPG, DAC).
_FRAME_HEADERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_NOT_A_SEGMENT: Final = _BARE_MARKERS | {0x00, 0xFF}
_APP1: Final = 0xE1
_START_OF_SCAN: Final = 0xDA
_END: Final = 0xD9
# A file may hold millions of empty segments, or megabytes of junk between two, to waste our time;
# colour profiles and extended XMP of real files need some hundred segments.
_MAX_SEGMENTS: Final = 20_000
_MAX_JUNK: Final = 65_536

_SEGMENT: Final = struct.Struct(">BBH").unpack_from
_FRAME: Final = struct.Struct(">BHHB").unpack_from


class JpegHeader(NamedTuple):
    """The frame header, and the orientation from Exif in front of it.

    Attributes:
        width, height: stored size in pixels, before any orientation.
        components: 1 grey, 3 YCbCr or RGB, 4 CMYK or YCCK.
        precision: bits per sample.
        coding: the low byte of the SOF marker: BASELINE, EXTENDED, PROGRESSIVE or a rare one.
        orientation: EXIF orientation 1..8, 1 where there is none.
    """

    width: int
    height: int
    components: int
    precision: int
    coding: int
    orientation: int


def read_jpeg_header(data: bytes | memoryview) -> JpegHeader:
    """The header of a JPEG.

    Raises:
        ImageError: undecodable, where the data ends, or the scan starts, before a frame header.
    """
    at = 2
    orientation = 1
    try:
        for _ in range(_MAX_SEGMENTS):
            prefix, marker, length = _SEGMENT(data, at)
            if prefix != 0xFF or marker in _NOT_A_SEGMENT:
                at = _next_marker(data, at)
                continue
            if marker in _FRAME_HEADERS:
                precision, height, width, components = _FRAME(data, at + 4)
                return JpegHeader(width, height, components, precision, marker, orientation)
            if marker in (_START_OF_SCAN, _END) or length < 2:
                raise ImageError("JPEG without a frame header", status="undecodable")
            if marker == _APP1 and data[at + 4 : at + 10] == EXIF_PREFIX and orientation == 1:
                orientation = read_orientation(data[at + 4 : at + 2 + length])
            at += 2 + length
    except struct.error:
        raise ImageError(
            f"JPEG ends inside its header, after {len(data)} bytes", status="undecodable"
        ) from None
    raise ImageError(f"JPEG with over {_MAX_SEGMENTS} segments", status="undecodable")


def _next_marker(data: bytes | memoryview, at: int) -> int:
    """Position of the next possible segment, behind fill bytes, bare markers and junk."""
    if data[at] == 0xFF and data[at + 1] in _BARE_MARKERS:
        return at + 2
    junk = bytes(data[at + 1 : at + _MAX_JUNK]).find(b"\xff")
    if junk < 0:
        raise ImageError(f"JPEG without a marker behind byte {at}", status="undecodable")
    return at + 1 + junk
