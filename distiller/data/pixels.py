"""From an image's bytes to the pixels both networks take: decode, resize, crop; not a float yet."""

from __future__ import annotations

import numpy as np

from selector.teachers.preprocess import Preprocessing
from shards.decode import DecodeLimits, decode


def image_pixels(
    data: bytes | memoryview, preprocessing: Preprocessing, *, limits: DecodeLimits
) -> np.ndarray:
    """(C, S, S) uint8, exactly as the teacher's own preprocessing has it.

    Raises:
        ImageError: the bytes are no image that can be used; says why.
    """
    pixels = decode(
        data,
        channels=1 if preprocessing.channels == 1 else 3,
        limits=limits,
        orientation=preprocessing.orientation,
    )
    return preprocessing.apply(pixels)
