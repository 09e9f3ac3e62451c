"""How a teacher wants its input: the reference transform, described as data and fingerprinted.

`exact` means the same pixels and the same floats, bit for bit, that the teacher's stock torchvision
or timm transform makes of the same image. `fast` may decode a large JPEG to fewer pixels before
they are resized, as `selector.teachers.reduction` says, and has another fingerprint; that of
`exact` is what it was before there was a choice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selector.teachers.preprocess_fields import ResizeMode, first_wrong
from selector.teachers.reduction import (
    HASH_MARGIN,
    MARGIN,
    SMALL_MARGIN,
    SMALL_SIDE,
    least_pixels,
)
from selector.teachers.resample import Interpolation, Pixels, resize_part, whole_size
from selector.teachers.spec import DecodeMode
from shards.decode import Orientation
from shards.errors import ImageError, UsageError
from shards.picture import Frame

MAX_RESIZED_PIXELS = 80_000_000
"""A 1 x 20,000 image, scaled until its short side is 256, would have 1.3 thousand megapixels."""


@dataclass(frozen=True)
class Preprocessing:
    """Resize, centre crop, scale to 0..1, normalise.

    Attributes:
        channels: 3 for RGB, 1 for grey.
        resize: target of the resize in pixels, by `resize_mode`; None with "none".
        resize_mode:
            none: no resize.
            short_side: the shorter side becomes `resize`, the other follows (rounded down).
            squash: both sides become `resize` (or height, width), whatever the aspect ratio.
            center_fraction: first the centre square of crop / resize of the shorter side is cut,
                then it is resized to `crop` (TensorFlow's central crop).
        crop: side S of the square input; cut from the centre, padded with 0 where it is too small.
        interpolation: Pillow's filter of the resize.
        mean, std: per channel, on pixels scaled to 0..1.
        orientation: "exif" turns images upright before all this, "stored" does not.
        decode: "exact", or "fast": JPEGs with many more pixels than needed are decoded to fewer.

    Raises:
        UsageError: a field has a value that makes no sense; named.
    """

    channels: int
    resize: int | tuple[int, int] | None
    resize_mode: ResizeMode
    crop: int
    interpolation: Interpolation
    mean: tuple[float, ...]
    std: tuple[float, ...]
    orientation: Orientation = "exif"
    decode: DecodeMode = "exact"

    def __post_init__(self) -> None:
        wrong = first_wrong(self)
        if wrong:
            name, expected = wrong
            raise UsageError(
                f"preprocessing.{name} is {getattr(self, name)!r}; expected {expected}"
            )

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(C, S, S) of one input."""
        return self.channels, self.crop, self.crop

    def apply(self, pixels: Pixels) -> Pixels:
        """One image, (H, W, 3) or (H, W) uint8, as the teacher's uint8 input (C, S, S).

        Raises:
            ImageError: too_large, where the aspect ratio would blow the resized image up.
        """
        return self.apply_stack(pixels[None])[0].transpose(2, 0, 1)

    def apply_stack(self, pixels_NHW: Pixels, frame: Frame | None = None) -> Pixels:
        """N images of one size as the teacher's uint8 input, channels last.

        Args:
            pixels_NHW: uint8, (N, H, W, 3) for 3 channels, (N, H, W) for 1.
            frame: of images that the decoder has reduced, all alike; None = they are whole.

        Returns:
            uint8 (N, S, S, C).

        Raises:
            ImageError: too_large, as above.
        """
        if self.resize_mode == "center_fraction":
            top, left, side = self.central_square(*whole_size(pixels_NHW, frame))
            square = top, left, side, side
            size = (self.crop, self.crop)
            pixels_NHW = resize_part(pixels_NHW, square, size, self.interpolation, frame)
        else:
            pixels_NHW = center_crop(self.resized_stack(pixels_NHW, frame), self.crop)
        return pixels_NHW.reshape(len(pixels_NHW), self.crop, self.crop, self.channels)

    def resized_stack(self, pixels_NHW: Pixels, frame: Frame | None = None) -> Pixels:
        """The same before the crop, for every mode but center_fraction, which crops first."""
        height, width = whole_size(pixels_NHW, frame)
        size = self.resized_size(height, width)
        if size[0] * size[1] > MAX_RESIZED_PIXELS:
            raise ImageError(
                f"{width} x {height} pixels would become {size[1]} x {size[0]} for the teacher",
                status="too_large",
            )
        return resize_part(pixels_NHW, (0, 0, height, width), size, self.interpolation, frame)

    @property
    def least_pixels(self) -> tuple[int, int] | None:
        """(height, width) that the decoder has to leave of a JPEG; None = the whole of it."""
        if self.decode == "exact":
            return None
        return least_pixels(self.resize, self.resize_mode, self.interpolation, crop=self.crop)

    def normalize(
        self, batch_NCHW: Tensor, constants: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """(x / 255 - mean) / std in float32, in the order of operations of torchvision.

        Args:
            batch_NCHW: (N, C, H, W) uint8, or floats in 0..255; not changed.
            constants: `self.constants` of its device; None = made here. On a GPU that copies them,
                and the copy waits for all that the GPU has to do.

        Returns:
            (N, C, H, W) float32 on the same device, same memory format.

        Raises:
            ValueError: another number of dimensions or channels.
        """
        if batch_NCHW.ndim != 4 or batch_NCHW.shape[1] != self.channels:
            raise ValueError(
                f"batch has shape {tuple(batch_NCHW.shape)}; expected (N, {self.channels}, H, W)"
            )
        mean, std = constants or self.constants(batch_NCHW.device)
        # One new tensor, then in place: three passes over memory cost more than the arithmetic.
        return batch_NCHW.float().div(255).sub_(mean).div_(std)

    def constants(self, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, each (1, C, 1, 1) float32."""
        mean = torch.tensor(self.mean, device=device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=device).view(1, -1, 1, 1)
        return mean, std

    def fingerprint(self) -> str:
        """SHA-256 (hex) of every field, and of what `fast` means today."""
        about = self.to_dict()
        if self.decode == "fast":
            about["margins"] = [MARGIN, SMALL_SIDE, SMALL_MARGIN, HASH_MARGIN]
        text = json.dumps(about, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(f"coursepack.preprocessing.1:{text}".encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values; `decode` only where it is not exact."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if self.decode == "exact":
            del values["decode"]  # which is how runs and cards have it that know no other
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """The reverse of `to_dict`.

        Raises:
            UsageError: an unknown, missing or senseless field; named.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        missing = sorted(known - set(values) - {"orientation", "decode"})
        if unknown or missing:
            raise UsageError(
                f"preprocessing has unknown fields {unknown} and lacks {missing}; "
                f"it has exactly {', '.join(field.name for field in fields(cls))}"
            )
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list | tuple) else value
            for name, value in values.items()
        }
        return cls(**plain)

    def central_square(self, height: int, width: int) -> tuple[int, int, int]:
        """(top, left, side) of what `center_fraction` cuts out of an image."""
        assert isinstance(self.resize, int)
        side = max(1, min(height, width) * self.crop // self.resize)
        return (height - side + 1) // 2, (width - side + 1) // 2, side

    def resized_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) that every mode but `center_fraction` makes of an image."""
        if self.resize_mode == "squash":
            if isinstance(self.resize, int):
                return self.resize, self.resize
            assert self.resize is not None
            return self.resize
        if self.resize_mode == "short_side":
            assert isinstance(self.resize, int)
            if width <= height:
                return int(self.resize * height / width), self.resize
            return self.resize, int(self.resize * width / height)
        return height, width


def center_crop(pixels_NHW: Pixels, side: int) -> Pixels:
    """The centre square, padded with 0 where the image is smaller; rounds as torchvision does.

    Args:
        pixels_NHW: uint8 (N, H, W) or (N, H, W, 3).

    Returns:
        uint8 (N, side, side) or (N, side, side, 3).
    """
    height, width = pixels_NHW.shape[1:3]
    if height < side or width < side:
        # torchvision puts the odd pixel of padding at the bottom and right.
        rows, columns = max(0, side - height), max(0, side - width)
        padding = [(0, 0), (rows // 2, (rows + 1) // 2), (columns // 2, (columns + 1) // 2)]
        pixels_NHW = np.pad(pixels_NHW, padding + [(0, 0)] * (pixels_NHW.ndim - 3))
        height, width = pixels_NHW.shape[1:3]
    # Python's round goes to the even neighbour at .5, and so does the reference.
    top, left = round((height - side) / 2), round((width - side) / 2)
    return pixels_NHW[:, top : top + side, left : left + side]
