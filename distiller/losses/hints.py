"""Losses between maps of features: what the student sees inside, held against its teacher.

Legend: N = images in the batch, C = channels, H and W = height and width of a map.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distiller.losses.reduction import weighted_mean

_EPS = 1e-12


def regression_loss(
    guided_NCHW: Tensor, hint_NCHW: Tensor, *, weights_N: Tensor | None = None
) -> Tensor:
    """mean_n mean_chw (guided - hint)^2; lower is better, >= 0 (FitNets, ICLR 2015, eq. 3).

    The paper has half the sum over the map in place of its mean: this one times C H W / 2.

    Args:
        guided_NCHW: what a regressor makes of the student's map; the gradient flows here.
        hint_NCHW: the teacher's map of the same views, a constant.
        weights_N: (N,) sample weights that average 1 over the training set, or None.

    Raises:
        ValueError: shapes do not fit.
    """
    _check(guided_NCHW, hint_NCHW, same_channels=True)
    precision = torch.promote_types(guided_NCHW.dtype, torch.float32)
    error_NCHW = guided_NCHW.to(precision) - hint_NCHW.detach().to(precision)
    return weighted_mean(error_NCHW.square().mean(dim=(1, 2, 3)), weights_N)


def attention_loss(
    student_NCHW: Tensor, teacher_NCHW: Tensor, *, weights_N: Tensor | None = None
) -> Tensor:
    """mean_n |q(s_n) - q(t_n)|^2 of attention maps q; in [0, 2], lower is better.

    q(x) = a / |a|, a_hw = sum_c x_chw^2: where in the image a network is active, whatever its
    number of channels (*Paying more attention to attention*, ICLR 2017, eq. 2 with p = 2; the
    square of the norm, as its code has it). Nothing of it is learned.

    Args:
        student_NCHW: (N, C, H, W) with any C; the gradient flows here.
        teacher_NCHW: (N, C', H, W) of the same views, a constant.
        weights_N: (N,) sample weights that average 1 over the training set, or None.

    Raises:
        ValueError: shapes do not fit.
    """
    _check(student_NCHW, teacher_NCHW, same_channels=False)
    precision = torch.promote_types(student_NCHW.dtype, torch.float32)
    student_NP = attention(student_NCHW.to(precision))
    teacher_NP = attention(teacher_NCHW.detach().to(precision))
    return weighted_mean((student_NP - teacher_NP).square().sum(dim=1), weights_N)


def attention(map_NCHW: Tensor) -> Tensor:
    """(N, H W) >= 0 of length 1: the energy of each position; all zeros of a map of zeros."""
    return F.normalize(map_NCHW.square().sum(dim=1).flatten(1), dim=1, eps=_EPS)


def to_size(map_NCHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Averaged down to (H, W) = `size`; the map itself where it has that size.

    Averages over positions commute with a 1 x 1 convolution, so it does not matter which of the
    two comes first.
    """
    if tuple(map_NCHW.shape[2:]) == size:
        return map_NCHW
    return F.adaptive_avg_pool2d(map_NCHW, size)


def _check(student_NCHW: Tensor, teacher_NCHW: Tensor, *, same_channels: bool) -> None:
    student, teacher = tuple(student_NCHW.shape), tuple(teacher_NCHW.shape)
    fits = len(student) == len(teacher) == 4 and student[0] == teacher[0]
    if not fits or student[2:] != teacher[2:] or (same_channels and student != teacher):
        expected = "equal shapes (N, C, H, W)" if same_channels else "equal N, H and W"
        raise ValueError(f"maps of shape {student} and {teacher}: expected {expected}")
