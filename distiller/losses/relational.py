"""DIST: the student keeps the teacher's relations, not its probabilities.

A correlation of 1 is asked of each row (how the classes of one image relate) and of each column
(how the images of a batch relate in one class), which leaves the student its own scale
(*Knowledge Distillation from A Stronger Teacher*, NeurIPS 2022, eq. 7 to 10).

Legend: N = images in the batch, C = classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distiller.losses.logits import softened
from distiller.losses.reduction import weighted_mean

_EPS = 1e-8
"""Of a deviation: a row or column that is constant correlates with nothing, and passes no NaN."""


def inter_class_loss(
    student_logits_NC: Tensor,
    teacher_logits_NC: Tensor,
    *,
    temperature: float,
    weights_N: Tensor | None = None,
) -> Tensor:
    """T^2 * mean_n (1 - corr(p^s_n, p^t_n)) over the classes of each image; in T^2 * [0, 2].

    0 when every row of the student's softened probabilities p is a rising linear function of the
    teacher's; lower is better. Gradient to the student alone. Arguments as `kd_loss`.

    Raises:
        ValueError: shapes differ or are not (N, C), or T is not positive.
    """
    student_NC, teacher_NC = _softened(student_logits_NC, teacher_logits_NC, temperature)
    correlation_N = _correlation(student_NC, teacher_NC, torch.ones_like(student_NC), dim=1)
    return temperature**2 * weighted_mean(1 - correlation_N, weights_N)


def intra_class_loss(
    student_logits_NC: Tensor,
    teacher_logits_NC: Tensor,
    *,
    temperature: float,
    weights_N: Tensor | None = None,
) -> Tensor:
    """T^2 * mean_c (1 - corr(p^s_:c, p^t_:c)) over the images of the batch; in T^2 * [0, 2].

    Sample weights weight the moments of the correlation, which has no term of one image alone: it
    is a statistic of the batch, and with several processes one of each process's share of it.
    Else as `inter_class_loss`.
    """
    student_NC, teacher_NC = _softened(student_logits_NC, teacher_logits_NC, temperature)
    masses_NC = torch.ones_like(student_NC)
    if weights_N is not None:
        wanted = tuple(student_NC.shape[:1])
        if weights_N.shape != wanted:
            raise ValueError(f"weights have shape {tuple(weights_N.shape)}, expected {wanted}")
        masses_NC = weights_N.to(student_NC.dtype)[:, None].expand_as(student_NC)
    return temperature**2 * (1 - _correlation(student_NC, teacher_NC, masses_NC, dim=0)).mean()


def _softened(
    student_logits_NC: Tensor, teacher_logits_NC: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    student_NC, teacher_NC = softened(student_logits_NC, teacher_logits_NC, temperature=temperature)
    return F.softmax(student_NC, dim=1), F.softmax(teacher_NC, dim=1)


def _correlation(a: Tensor, b: Tensor, masses: Tensor, *, dim: int) -> Tensor:
    """Pearson's correlation along `dim`, the moments weighted by `masses` >= 0."""
    total = masses.sum(dim=dim, keepdim=True).clamp_min(_EPS)
    a = a - (masses * a).sum(dim=dim, keepdim=True) / total
    b = b - (masses * b).sum(dim=dim, keepdim=True) / total
    product = (masses * a * b).sum(dim=dim)
    spread_a = ((masses * a * a).sum(dim=dim) + _EPS**2).sqrt()
    spread_b = ((masses * b * b).sum(dim=dim) + _EPS**2).sqrt()
    return product / (spread_a * spread_b)
