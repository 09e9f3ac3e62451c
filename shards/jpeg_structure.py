"""Which JPEGs a lax decoder may be trusted with: plain baseline ones whose structure is whole.

libjpeg as `shards.decode` uses it is strict. Decoders of GPUs are not: what is cut off they leave
grey, and colour spaces other than YCbCr they take for it. So only an ordinary file goes to them:
8-bit baseline, grey or YCbCr, one scan, whose coded data holds nothing but data and, where they are
announced, all restart markers in order, up to an end marker that is the last of the file. Anything
else is not judged here, but left to the strict decoder.

Not seen is damage that leaves the structure whole: bytes of the coded data changed to others.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import numpy as np

from shards.errors import ImageError
from shards.jpeg_header import BASELINE, JpegHeader, read_jpeg_header

_RESTART_INTERVAL: Final = 0xDD
_START_OF_SCAN: Final = 0xDA
_TABLES: Final = frozenset({0xC4, 0xDB})
_COMMENT: Final = 0xFE
_ADOBE: Final = 0xEE
_APPLICATION: Final = range(0xE0, 0xF0)
_FIRST_RESTART: Final = 0xD0
_END: Final = b"\xff\xd9"
_MAX_SEGMENTS: Final = 1000
_RGB: Final = b"RGB"

_SAMPLINGS: Final = frozenset({(1, 1), (2, 1), (1, 2), (2, 2)})
"""(horizontal, vertical) of luma beside chroma of (1, 1)."""


class _Frame(NamedTuple):
    """What the segments in front of the coded data say."""

    blocks_across: int
    blocks_down: int
    restart_interval: int
    scan: int


def plain_baseline(data: bytes | memoryview) -> JpegHeader | None:
    """The header of a JPEG as described above; None for every other, and for what is no JPEG."""
    if bytes(data[-2:]) != _END:
        return None
    try:
        header = read_jpeg_header(data)
        if header.coding != BASELINE or header.precision != 8 or header.components not in (1, 3):
            return None
        frame = _read_segments(data, header)
    except (ImageError, struct.error, IndexError):
        return None
    if frame is None or not _is_whole(data, frame):
        return None
    return header


def _read_segments(data: bytes | memoryview, header: JpegHeader) -> _Frame | None:
    """Walk to the coded data; None where a segment is out of the ordinary."""
    at, interval = 2, 0
    units = None
    for _ in range(_MAX_SEGMENTS):
        prefix, marker, length = struct.unpack_from(">BBH", data, at)
        body = data[at + 4 : at + 2 + length]
        if prefix != 0xFF or length < 2:
            return None
        at += 2 + length
        if marker == BASELINE:
            if units is not None:
                return None
            units = _coded_units(body, header)
            if units is None:
                return None
        elif marker == _RESTART_INTERVAL:
            (interval,) = struct.unpack_from(">H", body)
        elif marker == _START_OF_SCAN:
            expected = bytes([header.components])
            in_one_scan = bytes(body[:1]) == expected and bytes(body[-3:]) == b"\0\x3f\0"
            return _Frame(*units, interval, at) if units and in_one_scan else None
        elif marker == _ADOBE:
            if bytes(body[:5]) == b"Adobe" and body[11] != header.components // 2:
                return None  # its own word for the colour space: 0 means RGB, or grey
        elif marker not in _TABLES and marker != _COMMENT and marker not in _APPLICATION:
            return None
    return None


def _coded_units(frame: bytes | memoryview, header: JpegHeader) -> tuple[int, int] | None:
    """How many units of coded data (MCUs) lie side by side, and one below the other."""
    parts = [bytes(frame[6 + 3 * n : 9 + 3 * n]) for n in range(header.components)]
    across = down = 1
    if header.components == 3:
        if bytes(part[0] for part in parts) == _RGB:
            return None
        samplings = [(part[1] >> 4, part[1] & 15) for part in parts]
        if samplings[0] not in _SAMPLINGS or samplings[1:] != [(1, 1), (1, 1)]:
            return None
        across, down = samplings[0]
    if not header.width or not header.height:
        return None
    return -(-header.width // (8 * across)), -(-header.height // (8 * down))


def _is_whole(data: bytes | memoryview, frame: _Frame) -> bool:
    """Whether the coded data goes on to the end, with all restart markers and no others."""
    coded = np.frombuffer(data, np.uint8)[frame.scan : -2]
    if not len(coded) or coded[-1] == 0xFF:
        return False
    markers = coded[np.flatnonzero(coded[:-1] == 0xFF) + 1]
    markers = markers[markers != 0]  # a zero behind it makes 0xFF a byte of data
    num_units = frame.blocks_across * frame.blocks_down
    expected = (num_units - 1) // frame.restart_interval if frame.restart_interval else 0
    in_order = _FIRST_RESTART + np.arange(expected) % 8
    return len(markers) == expected and bool((markers == in_order).all())
