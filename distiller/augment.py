"""Random views of uint8 image batches, vectorised over the batch.

Teacher and student see the SAME view: augmentation happens once, before the normalisation that
both share. Pixels stay uint8 in [0, 255], and every random number comes from the generator that
is passed in.

Legend: N = images, C = channels, H and W = height and width in pixels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor

from distiller.mixing import MixOptions, random_mix
from distiller.options import Options
from distiller.resized_crop import ResizedCropOptions, random_resized_crop


class AffineOptions(Options):
    """A random affine map per image, about its centre, with bilinear sampling."""

    degrees: float = Field(default=0.0, ge=0, le=180)
    """Rotation, uniform in [-degrees, degrees]."""

    translate: float = Field(default=0.0, ge=0, le=1)
    """Shift along each axis, uniform in [-translate, translate] of the image's size."""

    scale: tuple[float, float] = (1.0, 1.0)
    """Magnification, uniform between the two; above 1 enlarges what the image shows."""

    shear: float = Field(default=0.0, ge=0, lt=90)
    """Horizontal shear angle in degrees, uniform in [-shear, shear]."""

    @field_validator("scale")
    @classmethod
    def _positive_and_ordered(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not 0 < scale[0] <= scale[1]:
            raise ValueError(f"{list(scale)}: expected [low, high] with 0 < low <= high")
        return scale


class AugmentOptions(Options):
    """What happens to a training image before teacher and student see it; nothing by default."""

    resized_crop: ResizedCropOptions | None = None
    """First: a random part of the image, stretched to the whole; null for none."""

    affine: AffineOptions | None = None
    """Second: rotation, shift, magnification, shear; null for none."""

    crop_padding: int = Field(default=0, ge=0)
    """Third: pad by so many pixels on each side and crop back at a random place."""

    flip: bool = False
    """Fourth: mirror left to right with probability 1/2. Not for digits or letters."""

    mix: MixOptions | None = None
    """Last: mixup and CutMix among the images of the batch; only where all that is learned comes
    from the teacher, which sees the mix, and not from labels."""

    fill: int = Field(default=0, ge=0, le=255)
    """Value of pixels that the affine map or the padding brings in; 0 = black."""


def augment(images_NCHW: Tensor, options: AugmentOptions, *, generator: torch.Generator) -> Tensor:
    """A random view of each image; (N, C, H, W) uint8 in and out, the input is not changed.

    Raises:
        ValueError: images are not a uint8 batch, or the padding is larger than an image.
    """
    if images_NCHW.ndim != 4 or images_NCHW.dtype != torch.uint8:
        raise ValueError(
            f"images are {images_NCHW.dtype} of shape {tuple(images_NCHW.shape)}, "
            "expected uint8 (N, C, H, W)"
        )
    view_NCHW = images_NCHW
    if options.resized_crop is not None:
        view_NCHW = random_resized_crop(view_NCHW, options.resized_crop, generator=generator)
    if options.affine is not None:
        view_NCHW = random_affine(view_NCHW, options.affine, fill=options.fill, generator=generator)
    if options.crop_padding or options.flip:
        view_NCHW = random_crop_flip(
            view_NCHW,
            padding=options.crop_padding,
            flip=options.flip,
            fill=options.fill,
            generator=generator,
        )
    if options.mix is not None:
        view_NCHW = random_mix(view_NCHW, options.mix, generator=generator)
    return view_NCHW


def random_crop_flip(
    images_NCHW: Tensor, *, padding: int, flip: bool, fill: int, generator: torch.Generator
) -> Tensor:
    """Pad, crop back to H x W at a uniform offset in [0, 2 * padding] per axis, then mirror.

    Crop and flip are one gather by computed pixel positions, which costs the same as either alone.
    """
    num, channels, height, width = images_NCHW.shape
    device = images_NCHW.device
    offset_N2 = torch.randint(0, 2 * padding + 1, (num, 2), generator=generator).to(device)
    mirrored_N = (torch.rand(num, generator=generator) < 0.5).to(device) if flip else None
    rows_NH = torch.arange(height, device=device) + offset_N2[:, :1]
    columns_NW = torch.arange(width, device=device).expand(num, width)
    if mirrored_N is not None:
        columns_NW = torch.where(mirrored_N[:, None], width - 1 - columns_NW, columns_NW)
    columns_NW = columns_NW + offset_N2[:, 1:]
    padded = F.pad(images_NCHW, (padding,) * 4, value=fill) if padding else images_NCHW
    padded_width = width + 2 * padding
    positions = rows_NH[:, :, None] * padded_width + columns_NW[:, None, :]
    positions = positions.view(num, 1, height * width).expand(-1, channels, -1)
    view = padded.reshape(num, channels, -1).gather(2, positions)
    return view.view(num, channels, height, width)


def random_affine(
    images_NCHW: Tensor, options: AffineOptions, *, fill: int, generator: torch.Generator
) -> Tensor:
    """One random affine map per image, bilinear, pixels rounded to the nearest integer."""
    num, _, height, width = images_NCHW.shape
    device = images_NCHW.device
    theta_N23 = affine_matrices(num, options, aspect=width / height, generator=generator).to(device)
    grid = F.affine_grid(theta_N23, list(images_NCHW.shape), align_corners=False)
    # The fill value is subtracted and added back because sampling outside the image yields 0.
    pixels = images_NCHW.to(torch.float32) - fill
    mapped = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return (mapped + fill).round_().clamp_(0, 255).to(torch.uint8)


def affine_matrices(
    num: int, options: AffineOptions, *, aspect: float, generator: torch.Generator
) -> Tensor:
    """(num, 2, 3) float32 maps from output to input in the [-1, 1] coordinates of `affine_grid`.

    The map that an image undergoes is shift * rotation * shear * magnification about the centre;
    sampling needs its inverse. `aspect` (width / height) keeps a rotation a rotation when the
    image is not square, because the coordinates are stretched to [-1, 1] on both axes.
    """
    uniform_5N = torch.rand(5, num, generator=generator, dtype=torch.float64) * 2 - 1
    angle = uniform_5N[0] * math.radians(options.degrees)
    slope = torch.tan(uniform_5N[1] * math.radians(options.shear))
    low, high = options.scale
    scale = low + (high - low) * (uniform_5N[2] + 1) / 2
    # Normalised coordinates are 2 units wide, so a shift by the whole size is 2.
    shift_x, shift_y = 2 * options.translate * uniform_5N[3], 2 * options.translate * uniform_5N[4]
    cos, sin, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    # x -> R S x / scale inverted by hand: S^-1 R^-1 / scale, with S = [[1, slope], [0, 1]].
    a, b = (cos + slope * sin) / scale, (sin - slope * cos) / scale
    c, d = -sin / scale, cos / scale
    b, c = b / aspect, c * aspect
    matrix = torch.stack([a, b, zero, c, d, zero], dim=1).view(num, 2, 3)
    shift = torch.stack([shift_x, shift_y], dim=1)[:, :, None]
    matrix[:, :, 2:] = -matrix[:, :, :2] @ shift
    return matrix.to(torch.float32)
