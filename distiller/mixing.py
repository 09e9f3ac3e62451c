"""Mixed images: mixup and CutMix, for students whose target is what the teacher says of the mix.

Both networks see the same mix, so no label has to be mixed: the teacher is asked (*Knowledge
distillation: A good teacher is patient and consistent*, CVPR 2022). A pool of wild images gets
many more points this way at which the student can learn the teacher's function.

Legend: N = images, C = channels, H and W = height and width in pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from distiller.options import Options


class MixOptions(Options):
    """Each image of a batch may be mixed with another one of it."""

    mixup: float = Field(default=0.0, ge=0, le=1)
    """Share of the images that are blended: lam * own + (1 - lam) * other."""

    cutmix: float = Field(default=0.0, ge=0, le=1)
    """Share of the images that get a box of the other image's pixels, of area 1 - lam."""

    alpha: float = Field(default=1.0, gt=0)
    """lam is drawn from Beta(alpha, alpha) for each image; 1 = uniform in [0, 1]."""

    @model_validator(mode="after")
    def _shares_fit(self) -> MixOptions:
        if self.mixup + self.cutmix > 1:
            raise ValueError(
                f"mixup {self.mixup} and cutmix {self.cutmix}: an image gets one of them, so "
                "together they are at most 1"
            )
        return self


def random_mix(images_NCHW: Tensor, options: MixOptions, *, generator: torch.Generator) -> Tensor:
    """Mix images of a batch as `options` say; (N, C, H, W) uint8 in and out, rounded.

    Each image's partner is another image of the batch as it came in: partners are a random cycle,
    so no image is mixed with itself (but for N = 1).
    """
    num, _, height, width = images_NCHW.shape
    device = images_NCHW.device
    order_N = torch.randperm(num, generator=generator)
    partner_N = torch.empty_like(order_N)
    partner_N[order_N] = order_N.roll(-1)
    kind_N = torch.rand(num, generator=generator)
    own_N = _beta(options.alpha, num, generator=generator)
    place_N2 = torch.rand(num, 2, generator=generator)
    other_NCHW = images_NCHW[partner_N.to(device)]
    blends_N = (kind_N < options.mixup).to(device)
    cuts_N = (kind_N >= options.mixup) & (kind_N < options.mixup + options.cutmix)
    box_NHW = box_masks(own_N, place_N2, height, width) & cuts_N[:, None, None]
    view = torch.where(box_NHW[:, None].to(device), other_NCHW, images_NCHW)
    own_N111 = own_N.to(device)[:, None, None, None]
    blended = images_NCHW * own_N111 + other_NCHW * (1 - own_N111)
    return torch.where(
        blends_N[:, None, None, None], blended.round_().clamp_(0, 255).to(torch.uint8), view
    )


def box_masks(own_N: Tensor, place_N2: Tensor, height: int, width: int) -> Tensor:
    """(N, H, W) bool: a box of about (1 - own) H W pixels and of the image's shape, inside it.

    Args:
        own_N: (N,) in [0, 1], the share that stays.
        place_N2: (N, 2) in [0, 1): where the box lies, of the places where it fits.
    """
    side_N = (1 - own_N).sqrt()
    box_height_N = (side_N * height).round()
    box_width_N = (side_N * width).round()
    top_N = (place_N2[:, 0] * (height - box_height_N + 1)).floor()
    left_N = (place_N2[:, 1] * (width - box_width_N + 1)).floor()
    rows_NH = torch.arange(height)[None, :]
    columns_NW = torch.arange(width)[None, :]
    in_rows_NH = (rows_NH >= top_N[:, None]) & (rows_NH < (top_N + box_height_N)[:, None])
    in_columns_NW = (columns_NW >= left_N[:, None]) & (columns_NW < (left_N + box_width_N)[:, None])
    return in_rows_NH[:, :, None] & in_columns_NW[:, None, :]


def _beta(alpha: float, num: int, *, generator: torch.Generator) -> Tensor:
    """(num,) float32 draws of Beta(alpha, alpha); torch's own sampler takes no generator."""
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, num).astype(np.float32))
