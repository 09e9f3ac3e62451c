from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from selector.teachers.input_pixels import decode_arguments, decode_for, input_pixels
from selector.teachers.preprocess import Preprocessing
from selector.teachers.reduction import SMALL_MARGIN
from selector.teachers.zoo import default_preprocessing
from shards.decode import DecodeLimits
from shards.errors import ImageError
from tests.distiller.small_sets import GREY_32, bars, png
from tests.support import images

EXACT = replace(default_preprocessing("torchvision/resnet18"), resize=40, crop=36)
FAST = replace(EXACT, decode="fast")
LIMITS = DecodeLimits()
HEIGHT, WIDTH = 507, 677
"""No multiples of 8; half of them is more than the margin over 40, a quarter is less."""


def smooth(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A scene of waves about as fine as what is left of it can show."""
    coarse = images.picture(13, 17)
    size = (width, height)
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


def cmyk(pixels: np.ndarray) -> bytes:
    return images.save(Image.fromarray(pixels).convert("CMYK"), "JPEG", quality=95)


def difference(data: bytes, exact: Preprocessing, fast: Preprocessing) -> float:
    """Mean absolute difference of the inputs, in grey levels."""
    inputs = [input_pixels(data, one, limits=LIMITS).astype(float) for one in (exact, fast)]
    return float(np.abs(inputs[0] - inputs[1]).mean())


def test_colour_teachers_get_three_channels_and_grey_ones_one() -> None:
    pixels = bars(0)
    grey = input_pixels(png(pixels), GREY_32, limits=LIMITS)
    np.testing.assert_array_equal(grey, pixels[None])
    colour = input_pixels(png(pixels), default_preprocessing("he/resnet8"), limits=LIMITS)
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
        input_pixels(data, GREY_32, limits=limits)
    assert error.value.status == status


@pytest.mark.parametrize("mode", ["short_side", "squash", "center_fraction"])
@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_fast_shows_the_same_scene_at_the_same_place(mode: str, orientation: int) -> None:
    exact, fast = (replace(one, resize_mode=mode) for one in (EXACT, FAST))  # type: ignore[arg-type]
    data = images.exif_jpeg(orientation, smooth())
    picture = decode_for(data, fast, limits=LIMITS)
    assert (picture.height, picture.width) == (HEIGHT, WIDTH)
    assert picture.frame is not None
    assert min(picture.pixels.shape[:2]) >= SMALL_MARGIN * 40
    assert max(picture.pixels.shape[:2]) < max(HEIGHT, WIDTH) / 1.9
    same = difference(data, exact, fast)
    # A shift by a third of an input's pixel is told apart from this.
    inputs = input_pixels(data, exact, limits=LIMITS).astype(float)
    shifted = float(np.abs(np.diff(inputs, axis=2)).mean()) / 3
    assert same < 0.5
    assert shifted > 2 * same


def test_grey_progressive_and_cmyk_jpegs_are_reduced_too() -> None:
    scene = smooth()
    grey_network = replace(FAST, channels=1, mean=(0.5,), std=(0.5,))
    for data in (
        images.jpeg(scene),
        images.jpeg(scene[:, :, 0]),
        images.jpeg(scene, progressive=True),
        cmyk(scene),
    ):
        for fast in (FAST, grey_network):
            picture = decode_for(data, fast, limits=LIMITS)
            assert picture.frame is not None
            assert picture.pixels.ndim == (2 if fast.channels == 1 else 3)
            assert difference(data, replace(fast, decode="exact"), fast) < 1


def test_where_nothing_is_reduced_fast_is_exact() -> None:
    small = images.jpeg(smooth(int(2 * SMALL_MARGIN * 40) - 1, WIDTH))
    for data in (small, images.png(smooth()), images.save(Image.fromarray(smooth()), "WEBP")):
        assert decode_for(data, FAST, limits=LIMITS).frame is None
        assert difference(data, EXACT, FAST) == 0
    large = images.jpeg(smooth())
    for unreduced in (
        replace(FAST, interpolation="nearest"),
        replace(FAST, resize_mode="none", resize=None),
    ):
        assert difference(large, replace(unreduced, decode="exact"), unreduced) == 0


def test_a_jpeg_for_pillow_comes_whole() -> None:
    data = bytearray(images.jpeg(smooth(), subsampling="444"))
    data[data.index(b"\xff\xc0") + 11] = 0x31  # luma three times as wide as chroma
    picture = decode_for(bytes(data), FAST, limits=LIMITS)
    assert picture.frame is None
    np.testing.assert_array_equal(picture.pixels, images.reference(bytes(data)))


def test_limits_are_for_the_whole_image() -> None:
    data = images.jpeg(smooth())
    assert decode_for(data, FAST, limits=DecodeLimits(max_pixels=HEIGHT * WIDTH)).frame
    with pytest.raises(ImageError, match="677 x 507"):
        decode_for(data, FAST, limits=DecodeLimits(max_pixels=HEIGHT * WIDTH - 1))


def test_damage_is_told_at_every_scale() -> None:
    data = images.jpeg(smooth())
    for broken in (data[: len(data) // 2], data[: len(data) // 2] + b"\xff\xd9"):
        with pytest.raises(ImageError, match="damaged JPEG"):
            decode_for(broken, FAST, limits=LIMITS)


def test_arguments_of_exact_ask_for_everything() -> None:
    assert decode_arguments(EXACT)["least"] is None
    assert decode_arguments(FAST)["least"] == (SMALL_MARGIN * 40, SMALL_MARGIN * 40)
