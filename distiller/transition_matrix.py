"""The class transition matrix Q of noisy distillation: where it starts, and what of it is learned.

Orientation (the same as `distiller.losses.noisy`): Q[i, j] = P(pseudo-label = i | true class = j),
columns sum to 1. Rows are what the teacher says, columns what is true; a_j = Q[j, j] is the
teacher's accuracy on class j.

The switches of the paper's ablation are two independent choices. Mode: `frozen`, `off_diagonal`
(the accuracies stay, how errors spread is learned), `learned` (everything). Start:
`identity_start`, `start_from_accuracies` (eq. 7), `start_from_joint` (estimated, diagonal or full).
"No Q" is the absence of a TransitionMatrix.

Legend: N = images, C = classes, i = pseudo-label, j = true class.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TransitionMode = Literal["frozen", "off_diagonal", "learned"]

IDENTITY_SLACK = 1e-3
"""What `identity_start` leaves off the diagonal, so that no probability is exactly 0."""

MAX_ACCURACY = 0.99
"""Upper clip of estimated accuracies: an estimate of 1 would leave errors nothing to learn from."""

SPREAD_FLOOR = 1e-3
"""Share of a column's errors that is spread evenly in a full estimate, so none is exactly 0."""


class TransitionMatrix(nn.Module):
    """Q as a module whose parameters cannot leave the simplex: softmax down each column.

    `forward()` returns Q (C, C) with columns that sum to 1. Which entries receive a gradient
    hangs on the mode: none (`frozen`), all but the diagonal (`off_diagonal`), all (`learned`).

    Args:
        start_CC: (C, C) initial Q with entries > 0 and columns that sum to 1.
        mode: what is learned.

    Raises:
        ValueError: `start_CC` is no such matrix.
    """

    def __init__(self, start_CC: Tensor, *, mode: TransitionMode = "learned") -> None:
        super().__init__()
        if mode not in get_args(TransitionMode):
            raise ValueError(f"mode is {mode!r}, expected one of {get_args(TransitionMode)}")
        _check_transition(start_CC)
        self.mode = mode
        start_CC = start_CC.detach().to(torch.float64)
        if mode == "frozen":
            self.register_buffer("fixed_CC", start_CC.float())
        elif mode == "learned":
            self.logits_CC = nn.Parameter(start_CC.log().float())
        else:
            num_classes = start_CC.shape[0]
            diagonal_CC = torch.eye(num_classes, dtype=torch.bool)
            self.register_buffer("accuracy_C", start_CC.diagonal().clone().float())
            self.register_buffer("is_diagonal_CC", diagonal_CC)
            # The value under the mask is never read; 0 keeps the saved file readable.
            self.logits_CC = nn.Parameter(start_CC.log().masked_fill(diagonal_CC, 0.0).float())

    def forward(self) -> Tensor:
        """Q (C, C); columns sum to 1, Q[i, j] = P(pseudo-label = i | true class = j)."""
        if self.mode == "frozen":
            fixed_CC: Tensor = self.get_buffer("fixed_CC")
            return fixed_CC
        if self.mode == "learned":
            return F.softmax(self.logits_CC, dim=0)
        is_diagonal_CC = self.get_buffer("is_diagonal_CC")
        accuracy_C = self.get_buffer("accuracy_C")
        spread_CC = F.softmax(self.logits_CC.masked_fill(is_diagonal_CC, float("-inf")), dim=0)
        return (1 - accuracy_C) * spread_CC + torch.diag(accuracy_C)

    @property
    def is_learned(self) -> bool:
        """Whether an optimizer has anything to do here."""
        return self.mode != "frozen"


def identity_start(num_classes: int) -> Tensor:
    """Q = 1 - 1e-3 on the diagonal, the rest even: a teacher that is trusted; (C, C) float64."""
    return start_from_accuracies(
        torch.full((num_classes,), 1 - IDENTITY_SLACK, dtype=torch.float64)
    )


def start_from_accuracies(accuracy_C: Tensor) -> Tensor:
    """Equation 7 of DFND: Q[j, j] = a_j, all other entries of column j (1 - a_j) / (C - 1).

    Args:
        accuracy_C: (C,) a_j in (0, 1).

    Returns:
        (C, C) float64, columns sum to 1.

    Raises:
        ValueError: fewer than two classes, or an accuracy that is not inside (0, 1).
    """
    accuracy_C = accuracy_C.to(torch.float64)
    if accuracy_C.ndim != 1 or accuracy_C.shape[0] < 2:
        raise ValueError(
            f"accuracies have shape {tuple(accuracy_C.shape)}, expected (C,) with C >= 2"
        )
    if not bool(((accuracy_C > 0) & (accuracy_C < 1)).all()):
        raise ValueError(
            f"accuracies range from {accuracy_C.min():g} to {accuracy_C.max():g}, "
            "expected numbers inside (0, 1)"
        )
    num_classes = accuracy_C.shape[0]
    start_CC = ((1 - accuracy_C) / (num_classes - 1)).expand(num_classes, -1).clone()
    start_CC.diagonal().copy_(accuracy_C)
    return start_CC


def joint_from_probabilities(batches: Iterable[Tensor], num_classes: int) -> Tensor:
    """J[i, j] = sum over images with pseudo-label i of p_j: what the teacher implies about errors.

    Meant to be taken over the whole POOL. Over a confident selection, p is nearly one-hot and J
    nearly diagonal, which says nothing about the teacher's errors.

    Args:
        batches: of (n, C) teacher logits; the softmax is taken here, at T = 1 in float64.
        num_classes: C.

    Returns:
        (C, C) float64; its sum is the number of images.
    """
    joint_CC = torch.zeros(num_classes, num_classes, dtype=torch.float64)
    for logits_NC in batches:
        p_NC = F.softmax(logits_NC.detach().to("cpu", torch.float64), dim=1)
        joint_CC.index_add_(0, logits_NC.argmax(dim=1).cpu(), p_NC)
    return joint_CC


def start_from_joint(joint_CC: Tensor, *, full: bool) -> Tensor:
    """The Q that the teacher's own probabilities imply: Q[i, j] = J[i, j] / sum_i J[i, j].

    a_j = Q[j, j] is clipped to [1 / C, 0.99]. With `full`, a column's other entries keep the
    proportions of the estimate (with a floor of 1e-3 of the column's errors, spread evenly);
    without, they are even, as equation 7 has them.

    Args:
        joint_CC: (C, C) from `joint_from_probabilities`.
        full: use the whole estimate, or its diagonal alone.

    Returns:
        (C, C) float64, all entries > 0, columns sum to 1. A class without any probability mass
        gets a_j = 1 / C and an even column: nothing is known about it.
    """
    num_classes = joint_CC.shape[0]
    joint_CC = joint_CC.to(torch.float64)
    accuracy_C = joint_CC.diagonal() / joint_CC.sum(dim=0)
    accuracy_C = accuracy_C.nan_to_num(nan=0.0).clamp(1 / num_classes, MAX_ACCURACY)
    even_CC = start_from_accuracies(accuracy_C)
    if not full:
        return even_CC
    errors_CC = joint_CC.clone()
    errors_CC.diagonal().zero_()
    total_C = errors_CC.sum(dim=0)
    spread_CC = errors_CC / total_C.clamp_min(torch.finfo(torch.float64).tiny)
    even_spread_CC = (1 - torch.eye(num_classes, dtype=torch.float64)) / (num_classes - 1)
    floor_C = torch.where(total_C > 0, SPREAD_FLOOR, 1.0)
    mixed_CC = (1 - floor_C) * spread_CC + floor_C * even_spread_CC
    return (1 - accuracy_C) * mixed_CC + torch.diag(accuracy_C)


def _check_transition(start_CC: Tensor) -> None:
    if start_CC.ndim != 2 or start_CC.shape[0] != start_CC.shape[1] or start_CC.shape[0] < 2:
        raise ValueError(
            f"transition matrix has shape {tuple(start_CC.shape)}, expected (C, C) with C >= 2"
        )
    off_C = (start_CC.to(torch.float64).sum(dim=0) - 1).abs()
    if not bool((start_CC > 0).all()) or float(off_C.max()) > 1e-5:
        raise ValueError(
            "a transition matrix needs entries > 0 and columns that sum to 1; "
            f"the smallest entry is {float(start_CC.min()):g}, a column is off by "
            f"{float(off_C.max()):g} (transpose it if its rows sum to 1)"
        )
