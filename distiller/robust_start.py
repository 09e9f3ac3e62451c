"""Before robust training: one pass of the teacher over the training set, and what follows from it.

The pass sees every image once, un-augmented and in order, so it is the same for every seed.

Legend: N = images of the set, C = classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distiller.adversary import Adversary
from distiller.class_weights import (
    ClassCounts,
    count_classes,
    dropped_classes,
    weights_from_counts,
)
from distiller.data.image_batch import each_once
from distiller.robust_options import RobustOptions
from distiller.team import ALONE, Team
from distiller.training_data import TrainingSet

SHOWN_CLASSES = 10
"""Dropped classes that a warning spells out; the card has them all."""


@dataclass(frozen=True)
class RobustStart:
    """Nominal class weights, and from what they come.

    Attributes:
        weights_C: (C,) float64; 0 = dropped.
        counts: what the teacher says of the training set.
        adversary: picks the weights of each step; its state goes into checkpoints.
    """

    weights_C: Tensor
    counts: ClassCounts
    adversary: Adversary

    def warnings(self, class_names: Sequence[str] | None) -> tuple[str, ...]:
        """One line that names the dropped classes, if there are any."""
        dropped = dropped_classes(self.counts, self.weights_C)
        if not dropped:
            return ()
        named = [
            f"{k}{'' if class_names is None else f' ({class_names[k]})'}: {num:,}"
            for k, num in list(dropped.items())[:SHOWN_CLASSES]
        ]
        more = f" and {len(dropped) - SHOWN_CLASSES} more" if len(dropped) > SHOWN_CLASSES else ""
        return (
            f"{len(dropped)} of {len(self.weights_C)} classes have fewer training images than "
            f"objective.n_min by the teacher's decision and are dropped, their images weigh 0: "
            f"{', '.join(named)}{more}",
        )

    def facts(self) -> dict[str, object]:
        """For the card: plain values by class."""
        return {
            "images": [int(num) for num in self.counts.images_C],
            "soft_mass": [round(float(mass), 3) for mass in self.counts.soft_C],
            "weights": [round(float(weight), 6) for weight in self.weights_C],
            "dropped": sorted(dropped_classes(self.counts, self.weights_C)),
        }

    def state(self) -> dict[str, object]:
        """For a checkpoint."""
        return {
            "weights_C": self.weights_C,
            "counts": tuple(self.counts),
            "adversary": self.adversary.state_dict(),
        }


def robust_start(
    options: RobustOptions,
    *,
    run_teacher: Callable[[Tensor], Tensor],
    num_classes: int,
    device: str,
    train: TrainingSet,
    labelled_share: float | None,
    batch_size: int,
    seed: int,
    team: Team = ALONE,
) -> RobustStart:
    """Ask the teacher about every training image, and weigh the classes.

    Args:
        options: of the objective.
        run_teacher: uint8 batch -> (B, K) logits.
        num_classes: K.
        device: of the run.
        train: the run's images.
        labelled_share: of `data`; an image counts as often as it will be seen.
        batch_size: of the pass.
        seed: of the run; decides the sampled weight vectors.
        team: whose processes choose together.

    Raises:
        UsageError: no class is left, or one has no mass in mode paper.
        CoursepackError: more images are unusable than the budget allows.
    """
    seen_N = _seen(train, labelled_share)

    def batches() -> Iterator[tuple[Tensor, Tensor | None]]:
        for batch in each_once(train.images, batch_size=batch_size):
            logits_NC = run_teacher(batch.images_BCSS)
            yield logits_NC, None if seen_N is None else seen_N[batch.indices_B]

    counts = count_classes(batches(), num_classes)
    return _start(options, counts, seed=seed, device=device, team=team)


def restored_start(
    options: RobustOptions,
    state: dict[str, object],
    *,
    seed: int,
    device: str,
    team: Team = ALONE,
) -> RobustStart:
    """What `RobustStart.state` saved; the teacher is not asked again.

    Raises:
        KeyError, TypeError, RuntimeError: the state is of another version.
    """
    counts = ClassCounts(*state["counts"])  # type: ignore[misc]
    start = _start(options, counts, seed=seed, device=device, team=team)
    start.adversary.load_state_dict(state["adversary"])  # type: ignore[arg-type]
    return start


def _start(
    options: RobustOptions, counts: ClassCounts, *, seed: int, device: str, team: Team
) -> RobustStart:
    weights_C = weights_from_counts(
        counts, mode=options.class_weights, n_min=options.n_min, max_ratio=options.max_ratio
    )
    all_reduce = None if team.size == 1 else team.total
    adversary = Adversary(weights_C, options, seed=seed, all_reduce=all_reduce)
    return RobustStart(weights_C, counts, adversary.to(device))


def _seen(train: TrainingSet, labelled_share: float | None) -> Tensor | None:
    """(N,) float64 how often an image counts, average about 1; None = all alike."""
    seen_N = None if train.weights_N is None else train.weights_N.double()
    if labelled_share is None:
        return seen_N
    num, num_labelled = len(train.index), train.num_labelled
    rate_N = torch.full((num,), (1 - labelled_share) * num / (num - num_labelled)).double()
    rate_N[num - num_labelled :] = labelled_share * num / num_labelled
    return rate_N if seen_N is None else seen_N * rate_N
