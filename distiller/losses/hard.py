"""Cross-entropy against one class per image: true labels, or the teacher's pseudo-labels.

Legend: N = images in the batch, C = classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distiller.losses.logits import check_labels
from distiller.losses.reduction import weighted_mean


def pseudo_labels(teacher_logits_NC: Tensor) -> Tensor:
    """y_hat_n = argmax_c t_nc, the class the teacher would name; (N, C) -> (N,) int64.

    Of equal logits the lowest class wins, as everywhere in this project.
    """
    return teacher_logits_NC.argmax(dim=1)


def hard_cross_entropy(
    student_logits_NC: Tensor,
    labels_N: Tensor,
    *,
    label_smoothing: float = 0.0,
    weights_N: Tensor | None = None,
) -> Tensor:
    """CE = -mean_n log softmax(s_n)[y_n], in nats; lower is better, 0 only for a certain student.

    Args:
        student_logits_NC: (N, C).
        labels_N: (N,) int64 in [0, C): true labels, or `pseudo_labels` of the same view.
        label_smoothing: e in [0, 1): the target is (1 - e) on the label and e / C on every class.
        weights_N: (N,) sample weights that average 1 over the training set, or None.

    Raises:
        ValueError: shapes do not fit.
        IndexError: a label outside [0, C).
    """
    check_labels(student_logits_NC, labels_N)
    precision = torch.promote_types(student_logits_NC.dtype, torch.float32)
    values_N = F.cross_entropy(
        student_logits_NC.to(precision),
        labels_N,
        reduction="none",
        label_smoothing=label_smoothing,
    )
    return weighted_mean(values_N, weights_N)


def known_label_cross_entropy(
    student_logits_NC: Tensor, labels_N: Tensor, *, weights_N: Tensor | None = None
) -> Tensor:
    """-(1 / N) sum over the images with a known label of log softmax(s_n)[y_n], in nats.

    The divisor is the whole batch, so that the expectation over batches is the loss of the set
    and a batch without any known label is no special case: its loss is 0.

    Args:
        student_logits_NC: (N, C).
        labels_N: (N,) int64 in [0, C), or -1 where the label is not known.
        weights_N: (N,) sample weights that average 1 over the training set, or None.

    Raises:
        ValueError: shapes do not fit.
        IndexError: a label of C or more.
    """
    check_labels(student_logits_NC, labels_N)
    precision = torch.promote_types(student_logits_NC.dtype, torch.float32)
    values_N = F.cross_entropy(
        student_logits_NC.to(precision), labels_N, reduction="none", ignore_index=-1
    )
    return weighted_mean(values_N, weights_N)
