"""Decoupled distillation: how sure the teacher is, and what else it sees, weighted apart.

KD_T mixes two things: the binary distribution (the target class, all others), and the distribution
among the others. In the sum the second is scaled by 1 - p_target of the teacher, which is next to
nothing for a confident teacher, and coursepack selects confident images. Decoupled, it keeps its
weight (*Decoupled Knowledge Distillation*, CVPR 2022, eq. 6 and 7):

    KD = TCKD + (1 - p^t_target) * NCKD        ->        alpha * TCKD + beta * NCKD

The paper's target is the label; without labels it is the teacher's own decision, argmax t.

Legend: N = images in the batch, C = classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distiller.losses.reduction import weighted_mean


def decoupled_kd_losses(
    student_logits_NC: Tensor,
    teacher_logits_NC: Tensor,
    targets_N: Tensor,
    *,
    temperature: float,
    weights_N: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """(TCKD, NCKD), each T^2 times a mean KL divergence, teacher first, in nats; lower is better.

    Args:
        student_logits_NC: (N, C), C >= 2; the gradient flows here.
        teacher_logits_NC: (N, C), a constant.
        targets_N: (N,) int64 target class of each image.
        temperature: T > 0.
        weights_N: (N,) sample weights that average 1 over the training set, or None.

    Returns:
        TCKD: of (p_target, 1 - p_target). NCKD: of the distribution over the C - 1 other classes.
        Both scalars, >= 0, and 0 exactly when the softened distributions agree in that respect.

    Raises:
        ValueError: shapes do not fit, C < 2, or T is not positive.
    """
    if temperature <= 0:
        raise ValueError(f"temperature is {temperature}, expected more than 0")
    shape = student_logits_NC.shape
    if len(shape) != 2 or shape != teacher_logits_NC.shape or targets_N.shape != shape[:1]:
        raise ValueError(
            f"student logits {tuple(shape)}, teacher logits {tuple(teacher_logits_NC.shape)}, "
            f"targets {tuple(targets_N.shape)}: expected (N, C), (N, C) and (N,)"
        )
    if shape[1] < 2:
        raise ValueError("one class has no others to tell apart; expected C >= 2")
    precision = torch.promote_types(student_logits_NC.dtype, torch.float32)
    is_target_NC = F.one_hot(targets_N, shape[1]).bool()
    student_N2, student_others_NC = _decouple(
        student_logits_NC.to(precision) / temperature, is_target_NC
    )
    teacher_N2, teacher_others_NC = _decouple(
        teacher_logits_NC.detach().to(precision) / temperature, is_target_NC
    )
    target_N = _divergence(teacher_N2, student_N2)
    others_N = _divergence(teacher_others_NC, student_others_NC)
    return (
        temperature**2 * weighted_mean(target_N, weights_N),
        temperature**2 * weighted_mean(others_N, weights_N),
    )


def _decouple(logits_NC: Tensor, is_target_NC: Tensor) -> tuple[Tensor, Tensor]:
    """log (p_target, 1 - p_target), (N, 2); and the (N, C - 1) log-probabilities of the others.

    In logarithms throughout: 1 - p of a confident teacher is no difference of floats.
    """
    num, num_classes = logits_NC.shape
    others_NC = logits_NC[~is_target_NC].view(num, num_classes - 1)
    pair_N2 = torch.stack([logits_NC[is_target_NC], others_NC.logsumexp(dim=1)], dim=1)
    return F.log_softmax(pair_N2, dim=1), F.log_softmax(others_NC, dim=1)


def _divergence(teacher_log_p: Tensor, student_log_p: Tensor) -> Tensor:
    return F.kl_div(student_log_p, teacher_log_p, reduction="none", log_target=True).sum(dim=1)
