"""Noise value: how far a teacher's answer is from the one-hot vector of its own argmax.

Legend of shape suffixes: N images, C classes. All logarithms are natural, all values in nats.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

SMALLEST_FLOAT32 = np.float32(2.0**-149)
"""The smallest positive (subnormal) float32, 1.4e-45 = exp(-103.28)."""


def gaps_to_best(logits_NC: Tensor) -> tuple[Tensor, Tensor]:
    """How far every class lies below the best one, without the best one itself.

    Args:
        logits_NC: logits of any floating dtype, (N, C) with C >= 1.

    Returns:
        The pseudo-label (N,) int64, that is the first class of the largest logit, and the gaps
        z_max - z_c >= 0 of the other classes, (N, C - 1) float64. NaN logits, or an infinite
        largest one, make a row of NaN gaps.

    Raises:
        ValueError: logits_NC is not two-dimensional or has no class.
    """
    if logits_NC.ndim != 2 or logits_NC.shape[1] < 1:
        raise ValueError(f"logits have shape {tuple(logits_NC.shape)}; expected (N, C) with C >= 1")
    logits_NC = logits_NC.double()
    label_N1 = logits_NC.argmax(dim=1, keepdim=True)  # the first one among equals
    best_N1 = logits_NC.gather(1, label_N1)
    # best - best is 0, or NaN where the best logit is infinite: then there is no answer to score.
    gap_NC = (best_N1 - logits_NC) + (best_N1 - best_N1)
    # The argmax moves to column 0 and is cut off, so its exp(0) = 1 never meets the small rest.
    gap_NC.scatter_(1, label_N1, gap_NC[:, :1].clone())
    return label_N1[:, 0], gap_NC[:, 1:]


def noise_value(logits_NC: Tensor) -> Tensor:
    """V(x) = D_KL(one-hot(argmax p) || p) = -log max_c p_c; lower is better (DFND, CVPR 2021).

    Computed as log1p(sum over c != argmax of exp(z_c - z_max)) in float64. The usual
    logsumexp(z) - z_max loses every value under the rounding of z_max, and those are the
    images that a selection ranks first.

    Args:
        logits_NC: logits at temperature 1, (N, C) with C >= 1; finite.

    Returns:
        (N,) float64 in nats, range [0, log C]. Exactly 0 only for C = 1 and for gaps beyond
        about 745 nats, where float64 itself ends.

    Raises:
        ValueError: logits_NC is not two-dimensional or has no class.
    """
    _, gap_NC = gaps_to_best(logits_NC)
    return (-gap_NC).exp().sum(dim=1).log1p()


def store_positive(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Round to float32 for storage, but never a positive value down to 0.

    float32 keeps the relative precision of 6e-8 down to 1.2e-38 (gaps of 87 nats) and loses it
    bit by bit from there to 1.4e-45 (103 nats). What is smaller is stored as 1.4e-45, read "at
    most": 0 would claim a certainty that was not computed. NaN stays NaN.

    Args:
        values: (N,) float64, >= 0.

    Returns:
        (N,) float32.
    """
    rounded = values.astype(np.float32)
    rounded[(rounded == 0) & (values > 0)] = SMALLEST_FLOAT32
    return rounded
