"""What else the logits say about certainty: pseudo-label, max_prob, entropy, margin.

Each formula is written in the gaps d_c = z_max - z_c of the classes that are not the argmax, with
S = sum of exp(-d_c), so that nothing is subtracted from a number near 1. Legend: N images,
C classes; everything is float64, p = softmax(logits) at temperature 1.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from selector.scores.noise_value import gaps_to_best


class LogitScores(NamedTuple):
    """All scores of a batch, (N,) each; float64 but for the int64 pseudo-label."""

    pseudo_label: Tensor
    max_prob: Tensor
    noise_value: Tensor
    entropy: Tensor
    margin: Tensor


def scores_from_logits(logits_NC: Tensor) -> LogitScores:
    """Every score of the catalog that the logits give, from one pass of exponentials.

    Args:
        logits_NC: logits at temperature 1, (N, C) with C >= 1, any floating dtype; finite.

    Returns:
        LogitScores on the device of the logits. A row with a NaN logit, or with an infinite largest
        one, has NaN scores.

    Raises:
        ValueError: logits_NC is not two-dimensional or has no class.
    """
    label_N, gap_NC = gaps_to_best(logits_NC)
    rest_NC = (-gap_NC).exp()
    rest_N = rest_NC.sum(dim=1)
    noise_N = rest_N.log1p()
    # H = -sum p log p = log(1 + S) + (sum of d_c exp(-d_c)) / (1 + S): no negative term.
    # An infinitely impossible class has d = inf and adds nothing: its 0 * inf is a 0.
    spread_N = torch.where(rest_NC > 0, gap_NC * rest_NC, rest_NC).sum(dim=1)
    entropy_N = noise_N + spread_N / (1 + rest_N)
    if gap_NC.shape[1]:
        # p1 - p2 = (1 - exp(-d_min)) / (1 + S)
        margin_N = -torch.expm1(-gap_NC.amin(dim=1)) / (1 + rest_N)
    else:
        margin_N = torch.ones_like(rest_N)
    return LogitScores(label_N, 1 / (1 + rest_N), noise_N, entropy_N, margin_N)


def pseudo_label(logits_NC: Tensor) -> Tensor:
    """argmax_c p_c, (N,) int64; the first class among equals."""
    return scores_from_logits(logits_NC).pseudo_label


def max_prob(logits_NC: Tensor) -> Tensor:
    """max_c p_c = exp(-noise value), (N,) float64 in [1/C, 1]; higher is better."""
    return scores_from_logits(logits_NC).max_prob


def entropy(logits_NC: Tensor) -> Tensor:
    """H(p) = -sum_c p_c log p_c in nats, (N,) float64 in [0, log C]; lower is better."""
    return scores_from_logits(logits_NC).entropy


def margin(logits_NC: Tensor) -> Tensor:
    """p1 - p2, the two largest probabilities, (N,) float64 in [0, 1]; higher is better.

    A single class has no rival: its margin is 1.
    """
    return scores_from_logits(logits_NC).margin
