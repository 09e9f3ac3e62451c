"""From an image's bytes to a network's uint8 input: the one way, whoever asks.

Scoring, training, fine-tuning and the trial of suspects all decode here, so that `decode: fast`
means the same pixels to all of them.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from selector.teachers.preprocess import Preprocessing
from selector.teachers.resample import Pixels
from shards.decode import DecodeLimits, Orientation, Picture, decode_picture


class DecodeArguments(TypedDict):
    """What a decoder is told by a preprocessing."""

    channels: Literal[1, 3]
    orientation: Orientation
    least: tuple[int, int] | None


def decode_arguments(preprocessing: Preprocessing) -> DecodeArguments:
    """Arguments of `shards.decode.decode_picture`, and of a `DecodeTrial`."""
    return {
        "channels": 1 if preprocessing.channels == 1 else 3,
        "orientation": preprocessing.orientation,
        "least": preprocessing.least_pixels,
    }


def decode_for(
    data: bytes | memoryview, preprocessing: Preprocessing, *, limits: DecodeLimits
) -> Picture:
    """An image with as many pixels as the preprocessing needs.

    Raises:
        ImageError: the bytes are no image that can be used; says why.
    """
    return decode_picture(data, limits=limits, **decode_arguments(preprocessing))


def input_pixels(
    data: bytes | memoryview, preprocessing: Preprocessing, *, limits: DecodeLimits
) -> Pixels:
    """(C, S, S) uint8, as the network's own preprocessing has it.

    Raises:
        ImageError: as `decode_for`, or too_large for the network's size.
    """
    picture = decode_for(data, preprocessing, limits=limits)
    return preprocessing.apply_stack(picture.pixels[None], picture.frame)[0].transpose(2, 0, 1)
