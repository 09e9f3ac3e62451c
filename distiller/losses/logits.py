"""What the losses ask of logits before they compute, and the precision that they compute in.

Legend: N = images in the batch, C = classes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def softened(
    student_logits_NC: Tensor, teacher_logits_NC: Tensor, *, temperature: float
) -> tuple[Tensor, Tensor]:
    """Both logits over T, in the student's precision, at least float32; the teacher's detached.

    Half precision has too few bits for a divergence that ends near 0.

    Raises:
        ValueError: shapes differ or are not (N, C), or T is not positive.
    """
    if temperature <= 0:
        raise ValueError(f"temperature is {temperature}, expected more than 0")
    if student_logits_NC.ndim != 2 or student_logits_NC.shape != teacher_logits_NC.shape:
        raise ValueError(
            f"student logits {tuple(student_logits_NC.shape)} and teacher logits "
            f"{tuple(teacher_logits_NC.shape)}: expected the same (N, C) for both"
        )
    precision = torch.promote_types(student_logits_NC.dtype, torch.float32)
    return (
        student_logits_NC.to(precision) / temperature,
        teacher_logits_NC.detach().to(precision) / temperature,
    )


def check_labels(student_logits_NC: Tensor, labels_N: Tensor) -> None:
    """Return if there is one label for each row of logits.

    Raises:
        ValueError: shapes do not fit.
    """
    if student_logits_NC.ndim != 2 or labels_N.shape != student_logits_NC.shape[:1]:
        raise ValueError(
            f"student logits {tuple(student_logits_NC.shape)} and labels "
            f"{tuple(labels_N.shape)}: expected (N, C) and (N,)"
        )
