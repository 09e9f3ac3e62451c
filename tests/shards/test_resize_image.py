from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shards.decode import DecodeLimits, decode
from shards.errors import ImageError, UsageError
from shards.resize_image import Resizing, resize_image, target_size
from tests.support import images


@settings(max_examples=100, deadline=None)
@given(height=st.integers(1, 3000), width=st.integers(1, 3000), short=st.integers(1, 600))
def test_size_is_torchvisions_and_never_grows(height: int, width: int, short: int) -> None:
    from torchvision.transforms.functional import _compute_resized_output_size

    found = target_size(height, width, Resizing(short_side=short))
    if min(height, width) <= short:
        assert found == (height, width)
    else:
        assert list(found) == _compute_resized_output_size((height, width), [short])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos", "box"])
def test_png_holds_the_pixels_of_torchvisions_resize(interpolation: str) -> None:
    from torchvision.transforms import InterpolationMode, Resize

    data = images.jpeg(images.picture(90, 131))
    how = Resizing(short_side=32, encoding="png", interpolation=interpolation)  # type: ignore[arg-type]
    made = resize_image(data, how)
    assert made is not None
    stock = Resize(32, InterpolationMode(interpolation))(Image.fromarray(decode(data)))
    assert np.array_equal(decode(made), np.asarray(stock))


def test_exact_squashes_and_grows() -> None:
    for side in (20, 300):
        made = resize_image(images.jpeg(), Resizing(exact=side, encoding="png"))
        assert made is not None
        expected = Image.fromarray(decode(images.jpeg())).resize((side, side), Image.BILINEAR)
        assert np.array_equal(decode(made), np.asarray(expected))


def test_jpeg_is_close_and_quality_counts() -> None:
    data = images.png(images.picture(100, 100))
    exact = decode(resize_image(data, Resizing(exact=50, encoding="png")) or b"").astype(int)
    errors, lengths = [], []
    for quality in (95, 50):
        made = resize_image(data, Resizing(exact=50, quality=quality))
        assert made is not None
        errors.append(np.abs(decode(made) - exact).mean())
        lengths.append(len(made))
    assert errors[0] < errors[1]
    assert lengths[0] > lengths[1]


def test_images_of_the_wanted_size_stay_as_they_are() -> None:
    assert resize_image(images.jpeg(), Resizing(short_side=48)) is None
    assert resize_image(images.jpeg(), Resizing(short_side=100)) is None
    assert resize_image(images.jpeg(images.picture(32, 32)), Resizing(exact=32)) is None


def test_result_is_upright_and_the_same_every_time() -> None:
    data = images.exif_jpeg(6, images.quadrants(80, 120))
    made = resize_image(data, Resizing(short_side=40, encoding="png"))
    assert made == resize_image(data, Resizing(short_side=40, encoding="png"))
    shown = decode(made or b"")
    assert shown.shape == (40, 60, 3)
    assert np.abs(shown[30, 50].astype(int) - (0, 0, 255)).max() < 5


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_grey_images_stay_grey_in_the_file(encoding: str) -> None:
    grey = images.picture(64, 64)[:, :, 0]
    colour = np.repeat(grey[:, :, None], 3, axis=2)
    how = Resizing(exact=32, encoding=encoding)  # type: ignore[arg-type]
    assert resize_image(images.png(grey), how) == resize_image(images.png(colour), how)
    made = Image.open(io.BytesIO(resize_image(images.png(grey), how) or b""))
    assert made.mode == "L"


def test_images_that_cannot_be_decoded() -> None:
    with pytest.raises(ImageError):
        resize_image(images.TEXT, Resizing(exact=8))
    with pytest.raises(ImageError) as caught:
        resize_image(images.jpeg(), Resizing(exact=8, limits=DecodeLimits(max_pixels=10)))
    assert caught.value.status == "too_large"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either the short side or the exact size"),
        ({"short_side": 3, "exact": 3}, "either the short side or the exact size"),
        ({"exact": 0}, "size 0"),
        ({"exact": 3, "quality": 101}, "quality 101"),
        ({"exact": 3, "interpolation": "nearest"}, "expected box, bilinear"),
        ({"exact": 3, "encoding": "gif"}, "expected jpeg or png"),
    ],
)
def test_wrong_options(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Resizing(**options)
