"""Random resized crop: a random part of the image, stretched to the whole.

Legend: N = images, C = channels, H and W = height and width in pixels, T = tries.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor

from distiller.options import Options

_TRIES = 10
"""Shapes drawn for an image before the whole of it is taken; few shapes do not fit."""


class ResizedCropOptions(Options):
    """A crop of random area and shape at a random place, resized to the image's size."""

    scale: tuple[float, float] = (0.08, 1.0)
    """Area of the crop as a share of the image's, uniform between the two."""

    ratio: tuple[float, float] = (0.75, 4 / 3)
    """Width / height of the crop; its logarithm is uniform between the two."""

    probability: float = Field(default=1.0, ge=0, le=1)
    """Share of the images that are cropped; the others stay whole."""

    @field_validator("scale", "ratio")
    @classmethod
    def _positive_and_ordered(cls, ends: tuple[float, float]) -> tuple[float, float]:
        if not 0 < ends[0] <= ends[1]:
            raise ValueError(f"{list(ends)}: expected [low, high] with 0 < low <= high")
        return ends

    @field_validator("scale")
    @classmethod
    def _at_most_the_image(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if scale[1] > 1:
            raise ValueError(f"{list(scale)}: a crop is at most the whole image, 1.0")
        return scale


def random_resized_crop(
    images_NCHW: Tensor, options: ResizedCropOptions, *, generator: torch.Generator
) -> Tensor:
    """One crop per image, bilinear without antialiasing, rounded; (N, C, H, W) uint8 in and out."""
    num, _, height, width = images_NCHW.shape
    boxes_N4 = crop_boxes(num, height, width, options, generator=generator).to(images_NCHW.device)
    top_N, left_N, crop_height_N, crop_width_N = boxes_N4.unbind(dim=1)
    # In the coordinates of `affine_grid` the image spans [-1, 1]: a crop is a scale and a shift.
    theta_N23 = torch.zeros(num, 2, 3, device=images_NCHW.device)
    theta_N23[:, 0, 0] = crop_width_N / width
    theta_N23[:, 1, 1] = crop_height_N / height
    theta_N23[:, 0, 2] = (2 * left_N + crop_width_N) / width - 1
    theta_N23[:, 1, 2] = (2 * top_N + crop_height_N) / height - 1
    grid = F.affine_grid(theta_N23, list(images_NCHW.shape), align_corners=False)
    view = F.grid_sample(
        images_NCHW.to(torch.float32),
        grid,
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return view.round_().clamp_(0, 255).to(torch.uint8)


def crop_boxes(
    num: int, height: int, width: int, options: ResizedCropOptions, *, generator: torch.Generator
) -> Tensor:
    """(num, 4) float32 boxes (top, left, height, width) in pixels, inside the image.

    A shape (area, ratio) that does not fit is drawn again, at most ten times; then the image is
    taken whole.
    """
    low, high = options.scale
    area_NT = low + (high - low) * torch.rand(num, _TRIES, generator=generator, dtype=torch.float64)
    least, most = (math.log(end) for end in options.ratio)
    log_ratio_NT = least + (most - least) * torch.rand(
        num, _TRIES, generator=generator, dtype=torch.float64
    )
    place_N2 = torch.rand(num, 2, generator=generator, dtype=torch.float64)
    whole_N = torch.rand(num, generator=generator, dtype=torch.float64) >= options.probability
    pixels_NT = area_NT * (height * width)
    crop_width_NT = (pixels_NT * log_ratio_NT.exp()).sqrt()
    crop_height_NT = (pixels_NT / log_ratio_NT.exp()).sqrt()
    fits_NT = (crop_width_NT <= width) & (crop_height_NT <= height) & ~whole_N[:, None]
    first_N1 = fits_NT.to(torch.uint8).argmax(dim=1, keepdim=True)
    none_N = ~fits_NT.any(dim=1)
    crop_width_N = crop_width_NT.gather(1, first_N1)[:, 0].masked_fill(none_N, width)
    crop_height_N = crop_height_NT.gather(1, first_N1)[:, 0].masked_fill(none_N, height)
    top_N = place_N2[:, 0] * (height - crop_height_N)
    left_N = place_N2[:, 1] * (width - crop_width_N)
    return torch.stack([top_N, left_N, crop_height_N, crop_width_N], dim=1).to(torch.float32)
