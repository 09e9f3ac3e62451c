"""Where Q starts, by configuration: given accuracies, or an estimate from the teacher on a pool."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from distiller.objective_options import TransitionOptions
from distiller.transition_matrix import (
    identity_start,
    joint_from_probabilities,
    start_from_accuracies,
    start_from_joint,
)
from shards.errors import UsageError


def transition_start(
    options: TransitionOptions,
    *,
    num_classes: int,
    pool_logits: Callable[[], Iterable[Tensor]],
) -> Tensor:
    """The initial Q, (C, C) float64 with columns that sum to 1.

    Args:
        options: of mode other than none.
        num_classes: C.
        pool_logits: called only when an estimate is asked for; batches of (n, C) teacher logits
            over the pool.

    Raises:
        UsageError: the accuracies are not C numbers inside (0, 1).
    """
    if options.init == "identity":
        return identity_start(num_classes)
    if options.init == "accuracies":
        given = options.accuracies
        values = given if isinstance(given, tuple) else (given,) * num_classes
        if len(values) != num_classes:
            raise UsageError(
                f"objective.transition.accuracies has {len(values)} numbers, expected one, or "
                f"{num_classes}: one per class"
            )
        try:
            return start_from_accuracies(torch.tensor(values, dtype=torch.float64))
        except ValueError as error:
            raise UsageError(f"objective.transition.accuracies: {error}") from error
    joint_CC = joint_from_probabilities(pool_logits(), num_classes)
    return start_from_joint(joint_CC, full=options.init == "pool_full")
