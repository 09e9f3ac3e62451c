"""How much each class weighs in robust distillation, from what the teacher says of a set.

Two modes:

`paper`: w_k = K (1 / y_k) / sum_j (1 / y_j) with y = sum over the set of the teacher's softmax,
as published. One near-empty class takes it all: nine classes of 12,000 images and one of 10 weigh
.008 and 9.9.

`capped` (default): classes that the teacher names for fewer than `n_min` images (a count of its
decisions, argmax t(x), not of soft mass: one image in a million for each of a million strangers
is no class) are dropped, weight 0; the others weigh 1 / y_k, at most `max_ratio` times the
lightest of them; and all are scaled so that the mean weight of an image, mean_i w[argmax t(x_i)],
is 1: the loss keeps its size, and the learning rate its meaning.

Legend: N = images of the set, C = classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from shards.errors import UsageError


class ClassCounts(NamedTuple):
    """What the teacher says of a set of images."""

    images_C: Tensor
    """(C,) float64: images by the teacher's decision; their sum is N."""

    mass_C: Tensor
    """(C,) float64: sum of weight_n over the images of each decision."""

    soft_C: Tensor
    """(C,) float64: y_k = sum of weight_n * p_k(x_n)."""


def count_classes(batches: Iterable[tuple[Tensor, Tensor | None]], num_classes: int) -> ClassCounts:
    """Add up the teacher's softmax and decisions over a set.

    Args:
        batches: of (n, C) teacher logits, with (n,) weights that say how often an image is seen,
            relative to the average, or None for all ones. The softmax is taken here, at T = 1 in
            float64.
        num_classes: C.
    """
    images_C, mass_C, soft_C = torch.zeros(3, num_classes, dtype=torch.float64)
    for logits_NC, weights_N in batches:
        p_NC = F.softmax(logits_NC.detach().to("cpu", torch.float64), dim=1)
        decision_N = logits_NC.argmax(dim=1).cpu()
        ones_N = torch.ones(len(p_NC), dtype=torch.float64)
        weight_N = ones_N if weights_N is None else weights_N.to("cpu", torch.float64)
        images_C.index_add_(0, decision_N, ones_N)
        mass_C.index_add_(0, decision_N, weight_N)
        soft_C += weight_N @ p_NC
    return ClassCounts(images_C, mass_C, soft_C)


def weights_from_counts(
    counts: ClassCounts,
    *,
    mode: Literal["capped", "paper", "none"] = "capped",
    n_min: int = 10,
    max_ratio: float = 10.0,
) -> Tensor:
    """(C,) float64 class weights >= 0; 0 = dropped.

    Args:
        counts: of the training set.
        mode: see the module; none = all 1.
        n_min, max_ratio: for `capped`.

    Raises:
        UsageError: every class would be dropped; a class without any mass in mode paper.
    """
    soft_C = counts.soft_C
    if mode == "none":
        return torch.ones_like(soft_C)
    if mode == "paper":
        if bool((soft_C <= 0).any()):
            empty = (soft_C <= 0).nonzero()[:, 0].tolist()
            raise UsageError(
                f"class_weights: paper divides by the soft mass of a class, and the teacher gives "
                f"none to {empty}; use class_weights: capped, which drops such classes"
            )
        inverse_C = 1 / soft_C
        return len(soft_C) * inverse_C / inverse_C.sum()
    kept_C = counts.images_C >= max(n_min, 1)
    if not bool(kept_C.any()):
        raise UsageError(
            f"the teacher names no class for n_min = {n_min} or more of the "
            f"{int(counts.images_C.sum()):,} training images (most: "
            f"{int(counts.images_C.max()):,}); lower objective.n_min, or train on more images"
        )
    inverse_C = torch.where(kept_C, 1 / soft_C, torch.zeros_like(soft_C))
    inverse_C = inverse_C.clamp(max=max_ratio * float(inverse_C[kept_C].min()))
    return inverse_C * counts.mass_C.sum() / (counts.mass_C * inverse_C).sum()


def dropped_classes(counts: ClassCounts, weights_C: Tensor) -> dict[int, int]:
    """Class -> images that the teacher gives it, for the classes of weight 0."""
    return {int(k): int(counts.images_C[k]) for k in (weights_C == 0).nonzero()[:, 0]}
