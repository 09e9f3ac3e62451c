"""Noisy cross-entropy: the student meets pseudo-labels through a class transition matrix.

Orientation, fixed here for the whole project:

    Q[i, j] = P(pseudo-label = i | true class = j), so every COLUMN of Q sums to 1.

With p = softmax(s) a column vector over true classes, the pseudo-label's distribution is Q p.
For a batch of rows that is `softmax(s) @ Q.T`, and NOT `softmax(s) @ Q`.

Legend: N = images in the batch, C = classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distiller.losses.logits import check_labels
from distiller.losses.reduction import weighted_mean


def noisy_probabilities(student_logits_NC: Tensor, transition_CC: Tensor) -> Tensor:
    """softmax(s) @ Q.T: the distribution of the pseudo-label that the student predicts; (N, C).

    Rows sum to 1 because columns of Q do.
    """
    return F.softmax(student_logits_NC, dim=1) @ transition_CC.T


def noisy_cross_entropy(
    student_logits_NC: Tensor,
    labels_N: Tensor,
    transition_CC: Tensor,
    *,
    weights_N: Tensor | None = None,
) -> Tensor:
    """-mean_n log (softmax(s_n) @ Q.T)[y_hat_n], in nats; lower is better (DFND, CVPR 2021).

    Only row y_hat of Q matters to an image, so the loss is computed as
    -logsumexp_j (log Q[y_hat, j] + log softmax(s)_j): N * C work in place of the N * C * C of the
    product, and exact where a probability of the student underflows.

    Args:
        student_logits_NC: (N, C); gradient flows here.
        labels_N: (N,) int64 pseudo-labels y_hat of the same view.
        transition_CC: (C, C) Q as above; gradient flows here when it requires one. An entry that
            is exactly 0 passes no gradient.
        weights_N: (N,) sample weights that average 1 over the training set, or None.

    Raises:
        ValueError: shapes do not fit.
        IndexError: a label outside [0, C).
    """
    check_labels(student_logits_NC, labels_N)
    num_classes = student_logits_NC.shape[1]
    if transition_CC.shape != (num_classes, num_classes):
        raise ValueError(
            f"transition matrix {tuple(transition_CC.shape)}: expected "
            f"({num_classes}, {num_classes}) for {num_classes} classes"
        )
    precision = torch.promote_types(student_logits_NC.dtype, torch.float32)
    log_p_NC = F.log_softmax(student_logits_NC.to(precision), dim=1)
    transition_CC = transition_CC.to(precision)
    # A zero takes part as log 0 = -inf but is kept from the logarithm, whose gradient there
    # would be 0 * inf = nan.
    is_zero_CC = transition_CC <= 0
    log_transition_CC = transition_CC.masked_fill(is_zero_CC, 1.0).log()
    log_transition_CC = log_transition_CC.masked_fill(is_zero_CC, float("-inf"))
    log_noisy_N = torch.logsumexp(log_transition_CC[labels_N] + log_p_NC, dim=1)
    return weighted_mean(-log_noisy_N, weights_N)
