"""Distillation of logits brought to one scale: their shape is matched, not their size.

A small student cannot reach a large teacher's logits; what should be learned is how a teacher's
logits relate to each other. Each network's logits are z-scored per image before the softmax
(*Logit Standardization in Knowledge Distillation*, CVPR 2024, eq. 9).

Legend: N = images in the batch, C = classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distiller.losses.kd import kd_loss

_EPS = 1e-7
"""Added to a standard deviation: an image whose logits are all equal has no shape to match."""


def standardise_logits(logits_NC: Tensor) -> Tensor:
    """(z - mean z) / std z per image, std over classes with divisor C; (N, C), at least float32.

    Invariant under z -> a z + b with a > 0.
    """
    logits_NC = logits_NC.to(torch.promote_types(logits_NC.dtype, torch.float32))
    centred_NC = logits_NC - logits_NC.mean(dim=1, keepdim=True)
    # The root is taken of a sum that is never 0, where its gradient would not be finite.
    variance_N1 = centred_NC.square().mean(dim=1, keepdim=True)
    return centred_NC / (variance_N1 + _EPS**2).sqrt()


def standardised_kd_loss(
    student_logits_NC: Tensor,
    teacher_logits_NC: Tensor,
    *,
    temperature: float,
    weights_N: Tensor | None = None,
) -> Tensor:
    """KD_T between standardised logits, on the scale of `kd_loss`; nats, lower is better.

    Args and errors as `kd_loss`. Logits of standard deviation 1 over 10 classes are flat at T = 4;
    the paper uses T = 2 and weights of 9 and more.
    """
    return kd_loss(
        standardise_logits(student_logits_NC),
        standardise_logits(teacher_logits_NC.detach()),
        temperature=temperature,
        weights_N=weights_N,
    )
