from __future__ import annotations

import numpy as np
import pytest

from distiller.data.pixels import image_pixels
from selector.teachers.zoo import default_preprocessing
from shards.decode import DecodeLimits
from shards.errors import ImageError
from tests.distiller.small_sets import GREY_32, bars, png


def test_colour_teachers_get_three_channels_and_grey_ones_one() -> None:
    pixels = bars(0)
    grey = image_pixels(png(pixels), GREY_32, limits=DecodeLimits())
    np.testing.assert_array_equal(grey, pixels[None])
    colour = image_pixels(png(pixels), default_preprocessing("he/resnet8"), limits=DecodeLimits())
    np.testing.assert_array_equal(colour, np.stack([pixels] * 3))


@pytest.mark.parametrize(
    ("data", "limits", "status"),
    [
        (b"text", DecodeLimits(), "undecodable"),
        (png(bars(0)), DecodeLimits(max_pixels=100), "too_large"),
    ],
)
def test_what_cannot_be_used_says_why(data: bytes, limits: DecodeLimits, status: str) -> None:
    with pytest.raises(ImageError) as error:
        image_pixels(data, GREY_32, limits=limits)
    assert error.value.status == status
