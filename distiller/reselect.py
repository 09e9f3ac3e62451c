"""Choosing anew while training goes on: the candidates that teacher AND student are sure of.

Before step k * every the candidates are ranked by the noise value of a mixture,

    p = alpha * softmax(t) + (1 - alpha) * softmax(s),        V = -log max_c p_c,

and the n lowest are trained on until the next choice. alpha falls over the run, so the first
choices are the teacher's alone and later ones listen to the student too (the idea of KD3, ICCV
2023). The images that are shown whole and un-augmented for this are the same for every choice.

Legend: N = candidates, n = chosen ones, C = classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor

from distiller.data.image_batch import ImageSet, each_once
from distiller.options import Options
from selector.policies.columns import Columns
from selector.policies.quota import quota
from selector.policies.ranking import smallest

_BATCH = 256


class ReselectOptions(Options):
    """Train on the best part of data.train, chosen again and again by teacher and student."""

    n: float = Field(gt=0)
    """Images that are trained on between two choices: from 1 on a number, below 1 a share of
    data.train, which holds the candidates."""

    every: int = Field(default=500, ge=1)
    """Steps from one choice to the next."""

    alpha: tuple[float, float] = (1.0, 0.5)
    """Share of the teacher in the mixture at the first and at the last step; linear in between."""

    per_class: bool = True
    """The same number of each class of the mixture, places that a class cannot fill shared out
    among the others; false = the n best whatever their class."""

    @field_validator("n")
    @classmethod
    def _whole_from_one_on(cls, n: float) -> float:
        if n >= 1 and n != int(n):
            raise ValueError(f"{n}: expected a whole number of images, or a share below 1")
        return n

    def count(self, num_candidates: int) -> int:
        """Images of a choice, at least 1."""
        return int(self.n) if self.n >= 1 else max(1, int(self.n * num_candidates))

    @field_validator("alpha")
    @classmethod
    def _shares(cls, alpha: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= end <= 1 for end in alpha):
            raise ValueError(f"{list(alpha)}: expected two shares in [0, 1]")
        return alpha


class Reselection:
    """The subset that is trained on now, and how it is chosen anew.

    Args:
        options: of the choice.
        images: the candidates.
        teacher_logits: uint8 batch -> (B, C); asked once about every candidate.
        steps: of the whole run.
    """

    def __init__(
        self,
        options: ReselectOptions,
        images: ImageSet,
        *,
        teacher_logits: Callable[[Tensor], Tensor],
        steps: int,
    ) -> None:
        self._options, self._images, self._steps = options, images, steps
        self._usable_N, self._teacher_p_NC = _ask(images, teacher_logits)
        self.subset_n = torch.empty(0, dtype=torch.int64)
        self._chosen_at = -1

    def next_stop(self, step: int) -> int:
        """The step before which the next choice is due, at most the last."""
        every = self._options.every
        return min((step // every + 1) * every, self._steps)

    def choose(self, step: int, student_logits: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Choose for the steps from `step` on, unless a checkpoint of just this choice was loaded.

        Args:
            student_logits: uint8 batch -> (B, C) of the student in evaluation mode.

        Returns:
            Figures for the log: `reselect_alpha`, `reselect_kept` (share of the subset that stays),
            `reselect_cut` (the highest noise value taken, nats); empty where nothing was chosen.
        """
        begin = step - step % self._options.every
        if self._chosen_at == begin:
            return {}
        first, last = self._options.alpha
        alpha = first + (last - first) * begin / self._steps
        mixture_NC = alpha * self._teacher_p_NC
        if alpha < 1:
            _, student_p_NC = _ask(self._images, student_logits)
            mixture_NC = mixture_NC + (1 - alpha) * student_p_NC
        chosen, cut = best_of_mixture(
            mixture_NC,
            n=self._options.count(self._images.num_images),
            per_class=self._options.per_class,
        )
        before, self.subset_n = self.subset_n, self._usable_N[chosen]
        self._chosen_at = begin
        kept = float(torch.isin(self.subset_n, before).double().mean())
        return {"reselect_alpha": alpha, "reselect_kept": kept, "reselect_cut": cut}

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"subset_n": self.subset_n, "chosen_at": self._chosen_at}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue with the subset that `state` held."""
        self.subset_n, self._chosen_at = state["subset_n"], state["chosen_at"]


def best_of_mixture(mixture_NC: Tensor, *, n: int, per_class: bool) -> tuple[Tensor, float]:
    """Positions (n,) int64, ascending, of the lowest noise values, and the highest of those.

    Fewer than n where there are no more. Ties go to the lower position.

    Args:
        mixture_NC: (N, C) probabilities, rows sum to 1.
        per_class: n / C of every class by argmax, shortage shared out; the places that n / C
            leaves over are left empty.
    """
    top_N, class_N = mixture_NC.double().max(dim=1)
    num, num_classes = mixture_NC.shape
    nothing = np.zeros(num, np.uint64)
    columns = Columns(
        row_id=np.arange(num),
        order=-top_N.log().numpy(),
        tie_high=nothing,
        tie_low=nothing,
        group=class_N.numpy() if per_class else np.zeros(num, np.int64),
    )
    groups = num_classes if per_class else 1
    if per_class and n >= num_classes:
        keep = quota(columns, n=n // groups, num_groups=groups, shortage="redistribute")
    else:
        keep = smallest(columns, n=n)
    return torch.from_numpy(np.flatnonzero(keep)), float(columns.order[keep].max())


def _ask(images: ImageSet, logits: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """((M,) indices of the usable images, (M, C) float32 probabilities), on the CPU."""
    indices, rows = [], []
    with torch.no_grad():
        for batch in each_once(images, batch_size=_BATCH):
            indices.append(batch.indices_B)
            rows.append(F.softmax(logits(batch.images_BCSS).float(), dim=1).cpu())
    return torch.cat(indices), torch.cat(rows)
