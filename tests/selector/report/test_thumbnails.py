"""thumbnails: small images stay exact, large ones shrink, everything is drawn anew."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from selector.report.thumbnails import EXACT_SIDE, LONGER_SIDE, thumbnail
from shards.errors import ImageError
from shards.limits import DecodeLimits


def encoded(pixels: np.ndarray, encoder: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, encoder)
    return buffer.getvalue()


def opened(uri: str, media_type: str) -> Image.Image:
    prefix = f"data:{media_type};base64,"
    assert uri.startswith(prefix)
    return Image.open(io.BytesIO(base64.b64decode(uri[len(prefix) :])))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_small_images_keep_every_pixel() -> None:
    pixels = noise(EXACT_SIDE, 28)
    assert np.array_equal(np.asarray(opened(thumbnail(encoded(pixels)), "image/png")), pixels)


def test_grey_images_stay_grey() -> None:
    pixels = noise(28, 28)[..., 0]
    image = opened(thumbnail(encoded(pixels)), "image/png")
    assert image.mode == "L"
    assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize(
    ("shape", "size"),
    [((800, 400), (80, 160)), ((41, 41), (41, 41)), ((2000, 3), (1, 160)), ((60, 320), (160, 30))],
)
def test_large_images_keep_their_shape(shape: tuple[int, int], size: tuple[int, int]) -> None:
    image = opened(thumbnail(encoded(noise(*shape))), "image/jpeg")
    assert image.size == size
    assert max(image.size) <= LONGER_SIDE


def test_nothing_but_pixels_gets_through() -> None:
    data = encoded(noise(20, 20)) + b"<script>alert(1)</script>"
    drawn = base64.b64decode(thumbnail(data).partition(",")[2])
    assert b"script" not in drawn


@pytest.mark.parametrize("data", [b"", b"<svg onload='alert(1)'/>", b"\xff\xd8\xff\xe0 broken"])
def test_no_image_is_an_error(data: bytes) -> None:
    with pytest.raises(ImageError):
        thumbnail(data)


def test_limits_hold() -> None:
    with pytest.raises(ImageError, match="limit"):
        thumbnail(encoded(noise(50, 50)), limits=DecodeLimits(max_pixels=2000))
