"""What people do to an image before it comes back: seven ways to plant a duplicate."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageOps


def _jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def reencoded(data: bytes, rng: np.random.Generator) -> bytes:
    """JPEG again, quality 40 to 80."""
    return _jpeg(_open(data), int(rng.integers(40, 81)))


def resized(data: bytes, rng: np.random.Generator) -> bytes:
    """Each side times 0.6 to 1.5, the same for both."""
    picture, scale = _open(data), rng.uniform(0.6, 1.5)
    size = (round(picture.width * scale), round(picture.height * scale))
    return _jpeg(picture.resize(size, Image.Resampling.BICUBIC))


def cropped(data: bytes, rng: np.random.Generator) -> bytes:
    """A window of 85 to 95 % of each side, anywhere."""
    picture, share = _open(data), rng.uniform(0.85, 0.95)
    width, height = round(picture.width * share), round(picture.height * share)
    left = int(rng.integers(0, picture.width - width + 1))
    top = int(rng.integers(0, picture.height - height + 1))
    return _jpeg(picture.crop((left, top, left + width, top + height)))


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    """Left and right exchanged."""
    return _jpeg(ImageOps.mirror(_open(data)))


def recoloured(data: bytes, rng: np.random.Generator) -> bytes:
    """Each channel times 0.8 to 1.25, and all of it lighter or darker by up to 25 levels."""
    pixels = np.asarray(_open(data), np.float32)
    shifted = pixels * rng.uniform(0.8, 1.25, 3) + rng.uniform(-25, 25)
    return _jpeg(Image.fromarray(shifted.clip(0, 255).astype(np.uint8)))


def overlaid(data: bytes, rng: np.random.Generator) -> bytes:
    """A caption: a bar of a seventh of the height, with light text."""
    picture = _open(data).copy()
    draw = ImageDraw.Draw(picture)
    height = max(6, picture.height // 7)
    top = 0 if rng.random() < 0.5 else picture.height - height
    draw.rectangle((0, top, picture.width, top + height), fill=tuple(rng.integers(0, 80, 3)))
    draw.text((2, top), "example.com", fill=(230, 230, 230), font_size=max(6, height - 2))
    return _jpeg(picture)


def copied(data: bytes, rng: np.random.Generator) -> bytes:
    """The same bytes, under another name."""
    return data


EDITS: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    edit.__name__: edit
    for edit in (copied, reencoded, resized, cropped, flipped, recoloured, overlaid)
}


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")
