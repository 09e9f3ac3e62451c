"""Risks of learning from positive and unlabelled scores: the non-negative one and the unbiased one.

Kiryo et al. 2017, "Positive-Unlabeled Learning with Non-Negative Risk Estimator". A classifier
gives every image one score F: above 0 it calls the image positive. With surrogate l, the share pi
of positives among the unlabelled, and the bracket r = E_U[l(F, -1)] - pi E_P[l(F, -1)]:

    uPU   pi E_P[l(F, +1)] + r                  unbiased; a flexible network drives it below 0
    nnPU  pi E_P[l(F, +1)] + max(-beta, r)

Algorithm 1 of the paper does not follow the gradient of that maximum. Where r >= -beta it descends
on the whole sum; where r < -beta it descends on -gamma r ALONE, the positive term dropped: an
ascent on r, which undoes the over-fitting. So the number to report and the number to back-propagate
are two, and `PURisk` carries both.

Legend: P = positives of a batch, U = unlabelled ones; every score is one raw logit.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Surrogate = Literal["sigmoid", "logistic"]
Method = Literal["nnpu", "upu"]


class PURisk(NamedTuple):
    """A risk and its parts; scalar tensors of the scores' dtype and device.

    Attributes:
        value: what to report, lower is better; for nnPU at least -beta, for uPU any number.
        objective: what to back-propagate; differs from `value` where `ascends`.
        positive: pi E_P[l(F, +1)], >= 0.
        bracket: r, the risk on negatives as estimated without a negative; its true value is >= 0.
        ascends: bool; r < -beta, so the step is one of ascent on r. Never for uPU.
    """

    value: Tensor
    objective: Tensor
    positive: Tensor
    bracket: Tensor
    ascends: Tensor


def surrogate_loss(scores: Tensor, label: Literal[1, -1], surrogate: Surrogate) -> Tensor:
    """l(F, y) of every score, >= 0, lower is better, in the shape of the scores.

    sigmoid: sigmoid(-y F), so that l(F, 1) + l(F, -1) = 1; logistic: log(1 + exp(-y F)).

    Raises:
        ValueError: another surrogate.
    """
    if surrogate == "sigmoid":
        return torch.sigmoid(-label * scores)
    if surrogate == "logistic":
        return F.softplus(-label * scores)
    raise ValueError(f"surrogate {surrogate!r}; expected one of {', '.join(get_args(Surrogate))}")


def pu_risk(
    positive_P: Tensor,
    unlabelled_U: Tensor,
    *,
    prior: float,
    surrogate: Surrogate = "sigmoid",
    method: Method = "nnpu",
    beta: float = 0.0,
    gamma: float = 1.0,
) -> PURisk:
    """The risk of a batch of scores.

    Args:
        positive_P: (P,) scores of labelled images, at least one.
        unlabelled_U: (U,) scores of images of the pool, at least one.
        prior: pi, the share of positives in the pool, in (0, 1).
        surrogate: see `surrogate_loss`. The logistic one is unbounded, so far outliers weigh more.
        method: "upu" is the unbiased risk, for comparison; beta and gamma then mean nothing.
        beta: how far below 0 the bracket may fall before the step turns, >= 0.
        gamma: size of the ascending step, in [0, 1].

    Raises:
        ValueError: no scores, scores that are not one number each, or an option out of range.
    """
    if not 0 < prior < 1:
        raise ValueError(f"prior {prior}; expected a share between 0 and 1, both excluded")
    if beta < 0 or not 0 <= gamma <= 1:
        raise ValueError(f"beta {beta}, gamma {gamma}; expected beta >= 0 and gamma in [0, 1]")
    for name, scores in (("positive", positive_P), ("unlabelled", unlabelled_U)):
        if scores.ndim != 1 or not scores.numel():
            raise ValueError(f"{name} scores {tuple(scores.shape)}; expected (n,) with n >= 1")
    positive = prior * surrogate_loss(positive_P, 1, surrogate).mean()
    as_negative = prior * surrogate_loss(positive_P, -1, surrogate).mean()
    bracket = surrogate_loss(unlabelled_U, -1, surrogate).mean() - as_negative
    unbiased = positive + bracket
    if method == "upu":
        ascends = torch.zeros((), dtype=torch.bool, device=bracket.device)
        return PURisk(unbiased, unbiased, positive, bracket, ascends)
    if method != "nnpu":
        raise ValueError(f"method {method!r}; expected one of {', '.join(get_args(Method))}")
    ascends = bracket < -beta
    # A tensor's choice, not Python's `if`: on a GPU nothing waits for the number.
    objective = torch.where(ascends, -gamma * bracket, unbiased)
    value = positive + bracket.clamp(min=-beta)
    return PURisk(value, objective, positive, bracket, ascends)
