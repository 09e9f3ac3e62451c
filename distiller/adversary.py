"""Who picks the class weights of a step: nominal, the worst of a few draws, or the worst of all.

The state is a module's buffers, so it is saved and restored with a checkpoint: a resumed run asks
the teacher nothing again.

Legend: C = classes, M = candidate weight vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from distiller.losses.robust import (
    one_sided_class_weights,
    sample_class_weights,
    weight_bounds,
    winning_row,
    worst_class_weights,
)
from distiller.randomness import Purpose, torch_generator
from distiller.robust_options import RobustOptions

MAX_LOGGED = 20
"""Figures per class or vector are logged up to so many of them; a thousand would drown the rest."""


class Choice(NamedTuple):
    """What the adversary did at a step."""

    weights_C: Tensor
    """(C,) the winner w'."""

    figures: dict[str, Tensor]
    """Scalars for the log: `worst_class_kd`, the largest mean KD of a class, nats; `win_J`, 1 for
    the candidate that won and 0 for the others, so that a mean over steps is its share of wins;
    `class_kd_K` and `class_weight_K`, per class, where there are at most 20."""


class Adversary(nn.Module):
    """Nominal class weights and how far they may be moved against the student.

    Args:
        weights_C: (C,) nominal w >= 0; 0 = dropped.
        options: of the objective.
        seed: of the run; decides the sampled vectors.
        all_reduce: adds up a tensor over all processes of a run, in place of none: given the same
            sums, every process chooses the same winner.
    """

    weights_C: Tensor
    low_C: Tensor
    high_C: Tensor
    candidates_MC: Tensor
    recent_2C: Tensor

    def __init__(
        self,
        weights_C: Tensor,
        options: RobustOptions,
        *,
        seed: int,
        all_reduce: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self._options, self._seed, self._all_reduce = options, seed, all_reduce
        weights_C = weights_C.detach().to(torch.float64)
        low_C, high_C = weight_bounds(weights_C, eps=options.eps, relative=options.relative)
        self.register_buffer("weights_C", weights_C)
        self.register_buffer("low_C", low_C)
        self.register_buffer("high_C", high_C)
        self.register_buffer("candidates_MC", self._draw(0, weights_C, low_C, high_C))
        # Sums of KD and of images by class, over the recent steps.
        self.register_buffer("recent_2C", weights_C.new_zeros(2, len(weights_C)))

    @torch.no_grad()
    def choose(self, sums_C: Tensor, counts_C: Tensor, *, step: int) -> Choice:
        """The weights of this step.

        Args:
            sums_C: (C,) S of the batch, see `distiller.losses.robust`.
            counts_C: (C,) images of each class in the batch.
            step: number of the update, from 0; decides the draw where vectors are redrawn.
        """
        options = self._options
        now_2C = torch.stack([sums_C.detach(), counts_C.to(sums_C.dtype)]).to(self.recent_2C)
        if self._all_reduce is not None:
            now_2C = self._all_reduce(now_2C)
        self.recent_2C.mul_(options.memory).add_(now_2C, alpha=1 - options.memory)
        recent_C, images_C = self.recent_2C
        mean_C = recent_C / images_C.clamp(min=torch.finfo(images_C.dtype).tiny)
        figures = {"worst_class_kd": mean_C.max()}
        if options.adversary == "worst_case":
            winner_C = worst_class_weights(recent_C, self.weights_C, self.low_C, self.high_C)
        else:
            candidates_MC = self.candidates_MC
            if options.adversary == "sampled" and options.redraw and step > 0:
                drawn_MC = self._draw(step, self.weights_C, self.low_C, self.high_C)
                candidates_MC = drawn_MC.to(candidates_MC.device)
            row = winning_row(recent_C, candidates_MC)
            winner_C = candidates_MC[row]
            if 1 < len(candidates_MC) <= MAX_LOGGED and not options.redraw:
                figures |= {f"win_{m}": (row == m).double() for m in range(len(candidates_MC))}
        if len(winner_C) <= MAX_LOGGED:
            figures |= {f"class_kd_{k}": mean for k, mean in enumerate(mean_C)}
            if options.adversary != "none":
                figures |= {f"class_weight_{k}": weight for k, weight in enumerate(winner_C)}
        return Choice(winner_C, figures)

    def _draw(self, step: int, weights_C: Tensor, low_C: Tensor, high_C: Tensor) -> Tensor:
        """(M, C) candidates; one row, w itself, where nothing is drawn."""
        options = self._options
        generator = torch_generator(self._seed, Purpose.CLASS_WEIGHTS, step)
        if options.adversary == "sampled":
            return sample_class_weights(
                weights_C, low_C, high_C, num=options.num_vectors, generator=generator
            )
        if options.adversary == "paper":
            return one_sided_class_weights(weights_C, eps=options.eps, generator=generator)
        return weights_C[None].clone()
