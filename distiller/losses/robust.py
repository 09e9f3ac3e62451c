"""Robust distillation: class weights that are uncertain, and the worst of them within reach.

With S_k = sum of the losses of class k's images, every class-weighted loss is linear in the
weights: L(w') = (1/N) sum_k w'_k S_k. So whatever is chosen here is chosen from the C numbers S
alone: processes that each hold a part of a batch add up their S and choose alike.

The weights may move within

    W = {w' >= 0, |w'_k - w_k| <= eps_k, sum_k w'_k = sum_k w_k},

and a class of weight exactly 0 (dropped) stays at 0. The student minimises max over W (or over a
few members of it) of L(w'); the gradient flows through S at the winner, which is a constant.
S holds weighted KL, not cross-entropy: their gradients agree, but the teacher's entropy, which
no student can change, would choose another winner.

(Positive-Unlabeled Compression on the Cloud, NeurIPS 2019, eq. 8 to 10.)

Legend: N = images, C = classes, M = weight vectors.
"""

from __future__ import annotations

import torch
from torch import Tensor


def class_loss_sums(
    values_N: Tensor,
    classes_N: Tensor,
    *,
    num_classes: int,
    weights_N: Tensor | None = None,
) -> Tensor:
    """S_k = sum over images n of class k of weight_n * value_n; (C,), carries the gradient.

    Args:
        values_N: (N,) one loss per image, >= 0.
        classes_N: (N,) int64 in [0, C): the teacher's decision, argmax t(x).
        num_classes: C.
        weights_N: (N,) sample weights, or None for all ones.

    Raises:
        ValueError: shapes do not fit.
    """
    if values_N.ndim != 1 or classes_N.shape != values_N.shape:
        raise ValueError(
            f"values {tuple(values_N.shape)} and classes {tuple(classes_N.shape)}: expected the "
            "same (N,) for both"
        )
    if weights_N is not None:
        if weights_N.shape != values_N.shape:
            raise ValueError(
                f"weights have shape {tuple(weights_N.shape)}, expected {tuple(values_N.shape)}"
            )
        values_N = values_N * weights_N
    return values_N.new_zeros(num_classes).index_add(0, classes_N, values_N)


def weight_bounds(
    weights_C: Tensor, *, eps: float, relative: bool = False
) -> tuple[Tensor, Tensor]:
    """The box of W: (low_C, high_C) with low <= w <= high, low >= 0; both (C,).

    Args:
        weights_C: (C,) w >= 0; a class of weight 0 keeps it.
        eps: reach per class; with `relative`, a share of w_k.

    Raises:
        ValueError: eps or a weight is negative.
    """
    if eps < 0 or bool((weights_C < 0).any()):
        raise ValueError(f"eps {eps} and weights from {weights_C.min():g} on: expected >= 0")
    reach_C = eps * weights_C if relative else torch.full_like(weights_C, eps)
    reach_C = torch.where(weights_C > 0, reach_C, torch.zeros_like(reach_C))
    return (weights_C - reach_C).clamp(min=0), weights_C + reach_C


def worst_class_weights(sums_C: Tensor, weights_C: Tensor, low_C: Tensor, high_C: Tensor) -> Tensor:
    """argmax over W of sum_k w'_k S_k, in closed form; (C,), a constant.

    A linear program over a box with one equality, solved greedily: start at w' = low, which
    leaves R = sum(w) - sum(low) >= 0 to hand out, and raise classes in the order of falling S,
    each as far as its bound and what is left of R allow.

    Why this is the maximum: take any w' in W, and i, the first class of the order where it
    differs from the greedy's w*. It lies below: w*_i is as high as its bound and R allow after
    the classes before it, which agree. As the sums are equal, some later class j has
    w'_j > w*_j >= low_j. Moving d = min(w*_i - w'_i, w'_j - w*_j) > 0 from j to i stays in W,
    changes the value by d (S_i - S_j) >= 0, and makes i or j agree with w*. At most C such moves
    lead to w*, so its value is at least that of w'. Ties of S go to the lower class number, so
    that every process finds the same point.

    Args:
        sums_C: (C,) S, of this process or added up over all; taken as a constant.
        weights_C: (C,) nominal w inside the box.
        low_C, high_C: (C,) from `weight_bounds`.
    """
    order_C = torch.argsort(sums_C.detach(), descending=True, stable=True)
    room_C = (high_C - low_C)[order_C]
    left = (weights_C.sum() - low_C.sum()).clamp(min=0)
    before_C = room_C.cumsum(0) - room_C
    raised_C = torch.minimum((left - before_C).clamp(min=0), room_C)
    return low_C.index_add(0, order_C, raised_C)


def sample_class_weights(
    weights_C: Tensor,
    low_C: Tensor,
    high_C: Tensor,
    *,
    num: int,
    generator: torch.Generator,
    sweeps: int = 32,
) -> Tensor:
    """`num` independent draws from the uniform distribution over W; (M, C), two-sided.

    A Gibbs sampler over pairs. One sweep pairs the classes at random; given w'_i + w'_j of a pair
    and everything else, the uniform distribution over W is uniform on a segment, and that is what
    is drawn: w'_i from [max(low_i, s - high_j), min(high_i, s - low_j)] with s = w'_i + w'_j.
    Pairs of a sweep are disjoint, and given their sums independent, so all move at once. Each move
    keeps sum(w') and the box exactly (no rejection, no projection, which would pile mass up on the
    faces); the uniform distribution is stationary for each, and the directions e_i - e_j span the
    plane sum = constant, so the chain, started at w, reaches all of the convex set W.

    Args:
        weights_C: (C,) w inside the box; where the chains start.
        low_C, high_C: (C,) from `weight_bounds`.
        num: M >= 1.
        generator: a CPU generator; the draws are the same for every device.
        sweeps: of the chain; the memory of the start is gone after about log2(C) of them.

    Raises:
        ValueError: num < 1.
    """
    if num < 1:
        raise ValueError(f"{num} weight vectors asked for, expected at least 1")
    num_classes, half = len(weights_C), len(weights_C) // 2
    low_C, high_C = low_C.to("cpu", torch.float64), high_C.to("cpu", torch.float64)
    drawn_MC = weights_C.to("cpu", torch.float64).repeat(num, 1)
    for _ in range(sweeps):
        keys_MC = torch.rand(num, num_classes, generator=generator, dtype=torch.float64)
        order_MC = keys_MC.argsort(dim=1)
        i_MP, j_MP = order_MC[:, :half], order_MC[:, half : 2 * half]
        sum_MP = drawn_MC.gather(1, i_MP) + drawn_MC.gather(1, j_MP)
        least_MP = torch.maximum(low_C[i_MP], sum_MP - high_C[j_MP])
        most_MP = torch.minimum(high_C[i_MP], sum_MP - low_C[j_MP])
        share_MP = torch.rand(num, half, generator=generator, dtype=torch.float64)
        # A class that cannot move leaves rounding of either sign between its two ends.
        moved_MP = least_MP + share_MP * (most_MP - least_MP).clamp(min=0)
        drawn_MC.scatter_(1, i_MP, moved_MP)
        drawn_MC.scatter_(1, j_MP, sum_MP - moved_MP)
    drawn_MC = torch.minimum(torch.maximum(drawn_MC, low_C), high_C)
    return drawn_MC.to(weights_C.device, weights_C.dtype)


def one_sided_class_weights(weights_C: Tensor, *, eps: float, generator: torch.Generator) -> Tensor:
    """What the paper's code maximises over: w, and ONE w + eps * u, u uniform in [0, 1); (2, C).

    Losses are >= 0, so the second row's loss is never below the first's: the maximum always takes
    it, and the min-max is plain training with slightly larger weights. Kept for comparison.
    """
    above_C = eps * torch.rand(len(weights_C), generator=generator, dtype=torch.float64)
    above_C = above_C.to(weights_C.device, weights_C.dtype) * (weights_C > 0)
    return torch.stack([weights_C, weights_C + above_C])


def winning_row(sums_C: Tensor, candidates_MC: Tensor) -> Tensor:
    """Index of the candidate with the largest sum_k w'_k S_k; scalar int64, ties to the lowest."""
    return (candidates_MC @ sums_C.detach().to(candidates_MC.dtype)).argmax()


def weighted_loss(sums_C: Tensor, weights_C: Tensor, *, count: int) -> Tensor:
    """L(w') = (1/N) sum_k w'_k S_k; scalar, the gradient flows through S alone."""
    return (weights_C.detach().to(sums_C.dtype) * sums_C).sum() / count
