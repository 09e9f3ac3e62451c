"""Does a cheaper way to run a teacher rank and choose the images that the exact way does?"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from selector.scores.noise_value import noise_value


@dataclass(frozen=True)
class Agreement:
    """Two ways on the same images; each figure at most 1, higher is better.

    Attributes:
        rank: Spearman's rank correlation of the noise value; NaN where all values are equal.
        argmax: share of images with the same class.
        jaccard: Jaccard index of the two halves of lowest noise value.
    """

    rank: float
    argmax: float
    jaccard: float

    @property
    def holds(self) -> bool:
        """Whether every figure reaches the gate; NaN does not."""
        return (
            self.rank >= GATE.rank and self.argmax >= GATE.argmax and self.jaccard >= GATE.jaccard
        )

    def to_dict(self) -> dict[str, float | None]:
        """The figures, rounded; None for NaN, which JSON does not have."""
        found = asdict(self)
        return {n: None if math.isnan(value) else round(value, 5) for n, value in found.items()}


GATE = Agreement(rank=0.995, argmax=0.98, jaccard=0.95)
"""The least of each figure with which one way may stand for the other."""


def agreement(exact_NC: Tensor, other_NC: Tensor) -> Agreement:
    """How far two ways agree.

    Args:
        exact_NC: logits (N, C), N >= 2.
        other_NC: those of the other way, of the same images.

    Raises:
        ValueError: fewer than two images, or other shapes.
    """
    from scipy.stats import spearmanr  # half a second that only a comparison should pay

    if exact_NC.shape != other_NC.shape or len(exact_NC) < 2:
        raise ValueError(
            f"logits have shapes {tuple(exact_NC.shape)} and {tuple(other_NC.shape)}; expected "
            "the same, of at least 2 images"
        )
    exact_N, other_N = noise_value(exact_NC), noise_value(other_NC)
    chosen, rechosen = (_lowest_half(values_N) for values_N in (exact_N, other_N))
    is_constant = bool((exact_N == exact_N[0]).all() or (other_N == other_N[0]).all())
    return Agreement(
        rank=float("nan") if is_constant else float(spearmanr(exact_N, other_N).statistic),
        argmax=float((exact_NC.argmax(1) == other_NC.argmax(1)).double().mean()),
        jaccard=len(chosen & rechosen) / len(chosen | rechosen),
    )


def _lowest_half(values_N: Tensor) -> set[int]:
    order_N = torch.argsort(values_N, stable=True)
    return set(order_N[: len(values_N) // 2].tolist())
