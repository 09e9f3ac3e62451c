"""Two hashes of an image: of its bytes (exact duplicates, tie-breaks) and of its looks (pHash)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xxhash

GREY_SIDE = 32
"""Side of the grey thumbnail that `phash` reads."""

_LOW = 8
_COSINE_BITS = 13
_position = np.arange(GREY_SIDE)
_frequency = np.arange(_LOW)[:, None]
# Rows 0..7 of the 32-point DCT-II, rounded to integers. Integers make every product below exact
# in float64 (255 * 2^26 * 1024 < 2^53), so the bits are the same on every machine and BLAS, and
# a flat image has exactly zero in every row but the first (each such row sums to 0).
_DCT_KN = np.rint(
    np.cos(np.pi * (2 * _position + 1) * _frequency / (2 * GREY_SIDE)) * 2**_COSINE_BITS
)
_BIT_WEIGHTS = np.uint64(1) << np.arange(_LOW * _LOW - 1, -1, -1, dtype=np.uint64)


def content_hash(data: bytes | memoryview) -> bytes:
    """XXH3-128 of the encoded image bytes, 16 bytes, most significant first; seed 0."""
    return xxhash.xxh3_128_digest(data)


def phash(grey_NHW: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """64-bit perceptual hashes; near-duplicates differ in few bits (Hamming distance).

    The 32 x 32 DCT-II of the thumbnail (unnormalised, cosines rounded to 13 fractional bits),
    its 8 x 8 corner of lowest frequencies, the constant term included; a bit is 1 where the
    coefficient is greater than the median of the 64. Bits run in row order (vertical frequency
    first), the constant term is the most significant one. The median is the mean of the two
    middle values.

    The thumbnail of an image is its whole pixel area, in grey (ITU-R 601-2, Pillow's "L"),
    brought to 32 x 32 by area average (Pillow's BOX filter) whatever its aspect ratio.

    Args:
        grey_NHW: thumbnails, (N, 32, 32) uint8.

    Returns:
        (N,) uint64.

    Raises:
        ValueError: grey_NHW has another shape or dtype.
    """
    if grey_NHW.shape[1:] != (GREY_SIDE, GREY_SIDE) or grey_NHW.dtype != np.uint8:
        raise ValueError(
            f"thumbnails are {grey_NHW.dtype} {grey_NHW.shape}; expected uint8 (N, 32, 32)"
        )
    # Two plain matrix products, (N*32, 32) and (N*8, 32), instead of N small ones.
    rows_NHK = grey_NHW.reshape(-1, GREY_SIDE).astype(np.float64) @ _DCT_KN.T
    rows_NKH = rows_NHK.reshape(-1, GREY_SIDE, _LOW).transpose(0, 2, 1)
    low_NKV = np.ascontiguousarray(rows_NKH).reshape(-1, GREY_SIDE) @ _DCT_KN.T
    low_NVK = low_NKV.reshape(-1, _LOW, _LOW).transpose(0, 2, 1).reshape(-1, _LOW * _LOW)
    is_high = low_NVK > np.median(low_NVK, axis=1, keepdims=True)
    return (is_high * _BIT_WEIGHTS).sum(axis=1, dtype=np.uint64)
