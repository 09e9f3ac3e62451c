"""Distillation loss: how far the student's softened distribution is from the teacher's.

Legend: N = images in the batch, C = classes. All logits are unnormalised log-probabilities.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from distiller.losses.logits import softened
from distiller.losses.reduction import weighted_mean


def kd_loss(
    student_logits_NC: Tensor,
    teacher_logits_NC: Tensor,
    *,
    temperature: float,
    weights_N: Tensor | None = None,
) -> Tensor:
    """KD_T = T^2 * mean_n D_KL(softmax(t_n / T) || softmax(s_n / T)), in nats; lower is better.

    A true Kullback-Leibler divergence with the teacher first (Hinton et al. 2015, as released
    DFND code has it): 0 when both distributions are equal, and more than 0 otherwise. T^2 keeps
    the size of the gradient about the same at every temperature, so a weight of 1 means the same
    at T = 1 and T = 4.

    Args:
        student_logits_NC: (N, C); the gradient flows here.
        teacher_logits_NC: (N, C); taken as a constant, also when it requires grad.
        temperature: T > 0.
        weights_N: (N,) sample weights that average 1 over the training set, or None.

    Returns:
        A scalar of the student's precision, at least float32.

    Raises:
        ValueError: shapes differ or are not (N, C), or T is not positive.
    """
    values_N = kd_values(student_logits_NC, teacher_logits_NC, temperature=temperature)
    return weighted_mean(values_N, weights_N)


def kd_values(
    student_logits_NC: Tensor, teacher_logits_NC: Tensor, *, temperature: float
) -> Tensor:
    """T^2 * D_KL(softmax(t_n / T) || softmax(s_n / T)) of each image, in nats; (N,), >= 0.

    Arguments and errors are those of `kd_loss`, which is the mean of this.
    """
    student_NC, teacher_NC = softened(student_logits_NC, teacher_logits_NC, temperature=temperature)
    divergence_N = F.kl_div(
        F.log_softmax(student_NC, dim=1),
        F.log_softmax(teacher_NC, dim=1),
        reduction="none",
        log_target=True,
    ).sum(dim=1)
    return temperature**2 * divergence_N
