"""EXIF orientation: read the one tag that matters, turn pixels upright.

The tag (0x0112) says how the stored rows and columns lie on the scene, 1 = as seen. Parsing the
whole of Exif costs more than decoding a thumbnail; finding one entry of the first directory does
not.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

EXIF_PREFIX: Final = b"Exif\0\0"
_ORIENTATION_TAG: Final = 0x0112
_SHORT: Final = 3
_BYTE_ORDERS: Final = {b"II": "<", b"MM": ">"}


def read_orientation(exif: bytes | memoryview) -> int:
    """Orientation 1..8 in an Exif block, with or without its `Exif\\0\\0` prefix.

    Returns 1 (as stored) where the block is damaged or says nothing valid: an image is never lost
    for its metadata.
    """
    block = bytes(exif)
    if block.startswith(EXIF_PREFIX):
        block = block[len(EXIF_PREFIX) :]
    order = _BYTE_ORDERS.get(block[:2])
    if order is None:
        return 1
    try:
        magic, directory = struct.unpack_from(f"{order}HI", block, 2)
        if magic != 42:
            return 1
        (num_entries,) = struct.unpack_from(f"{order}H", block, directory)
        for entry in range(num_entries):
            tag, kind, count, value = struct.unpack_from(
                f"{order}HHIH", block, directory + 2 + 12 * entry
            )
            if tag == _ORIENTATION_TAG:
                return value if kind == _SHORT and count == 1 and 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (H, W) or (H, W, C) as seen, from pixels as stored with this orientation 1..8.

    Orientations 5 to 8 swap height and width. The result is contiguous.
    """
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    flip_rows = orientation in (3, 4, 7, 8)
    flip_columns = orientation in (2, 3, 6, 7)
    return np.ascontiguousarray(pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1])


def as_stored(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The inverse of `upright`."""
    # Only the quarter turns are not their own inverse: 6 undoes 8, and 8 undoes 6.
    return upright(pixels, {6: 8, 8: 6}.get(orientation, orientation))
