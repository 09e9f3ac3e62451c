"""What a distill.yaml may say of the loss: one class of options for each kind of objective."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from distiller.matching import KdMatch, MatchOptions
from distiller.options import Options
from distiller.robust_options import RobustOptions


class TransitionOptions(Options):
    """Q of noisy distillation, Q[i, j] = P(pseudo-label = i | true class = j).

    The arms of the paper's ablation: no Q = mode none; identity = mode learned, init identity;
    frozen = mode frozen; off-diagonal alone = mode off_diagonal; everything = mode learned.
    """

    mode: Literal["none", "frozen", "off_diagonal", "learned"] = "learned"
    """none: plain cross-entropy against the pseudo-label; frozen: Q stays as it starts;
    off_diagonal: the accuracies stay, the rest is learned; learned: all of Q."""

    init: Literal["pool_diagonal", "pool_full", "accuracies", "identity"] = "pool_diagonal"
    """pool_diagonal: accuracies a_j estimated from the teacher's probabilities, errors spread
    evenly; pool_full: the whole estimated matrix; accuracies: a_j as given, errors spread evenly;
    identity: 1 - 1e-3 on the diagonal."""

    accuracies: float | tuple[float, ...] | None = None
    """For init accuracies: the teacher's accuracy, one for all classes or one per class."""

    pool: tuple[str, ...] | None = None
    """For the pool inits: shards of the WHOLE pool, before any selection. null = data.train, which
    is right only when no selection was made: a confident selection makes Q start as the identity,
    and the run warns of it."""

    pool_images: int = Field(default=10_000, ge=1)
    """For the pool inits: how many images, drawn by the seed, the estimate takes."""

    lr: float = Field(default=1e-3, gt=0)
    """Rate of Q's own Adam; constant over the run."""

    @model_validator(mode="after")
    def _accuracies_fit_init(self) -> TransitionOptions:
        if (self.init == "accuracies") != (self.accuracies is not None):
            raise ValueError(
                f"init {self.init!r} with accuracies {self.accuracies}: "
                "give accuracies with init accuracies, and with no other"
            )
        if self.pool is not None and not self.needs_pool:
            raise ValueError(
                f"pool is given, but mode {self.mode!r} with init {self.init!r} estimates nothing"
            )
        return self

    @property
    def needs_pool(self) -> bool:
        """Whether the teacher has to look at pool images before training starts."""
        return self.mode != "none" and self.init in ("pool_diagonal", "pool_full")


class KdOptions(Options):
    """Follow the teacher's softened distribution: loss = KD_T."""

    kind: Literal["kd"] = "kd"
    """The objective's name."""

    temperature: float = Field(default=4.0, gt=0)
    """T of KD_T."""

    match: MatchOptions = KdMatch()
    """What stands in the place of KD_T; its `kind` is kd, standardised, dist or decoupled."""


class PseudoLabelOptions(Options):
    """Learn the teacher's hard decision: loss = CE(s, y_hat) + kd_weight * KD_T."""

    kind: Literal["pseudo_label"] = "pseudo_label"
    """The objective's name."""

    kd_weight: float = Field(default=0.0, ge=0)
    """Weight of KD_T; 0 = pseudo-labels alone."""

    temperature: float = Field(default=4.0, gt=0)
    """T of KD_T."""

    match: MatchOptions = KdMatch()
    """What stands in the place of KD_T; its `kind` is kd, standardised, dist or decoupled."""


class NoisyOptions(Options):
    """DFND's noisy distillation: loss = CE(Q softmax(s), y_hat) + kd_weight * KD_T."""

    kind: Literal["noisy"] = "noisy"
    """The objective's name."""

    kd_weight: float = Field(default=1.0, ge=0)
    """lambda of the paper, on the scale where KD_T carries its T^2."""

    temperature: float = Field(default=2.0, gt=0)
    """T of KD_T."""

    match: MatchOptions = KdMatch()
    """What stands in the place of KD_T; its `kind` is kd, standardised, dist or decoupled."""

    transition: TransitionOptions = TransitionOptions()
    """Where Q starts and what of it is learned."""


class SupervisedOptions(Options):
    """Learn from true labels: loss = CE(s, y) + kd_weight * KD_T. Needs labelled shards."""

    kind: Literal["supervised"] = "supervised"
    """The objective's name."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target that is spread evenly over all classes."""

    kd_weight: float = Field(default=0.0, ge=0)
    """Weight of KD_T; above 0 a teacher is needed."""

    temperature: float = Field(default=4.0, gt=0)
    """T of KD_T."""

    match: MatchOptions = KdMatch()
    """What stands in the place of KD_T; its `kind` is kd, standardised, dist or decoupled."""


ObjectiveOptions = Annotated[
    KdOptions | PseudoLabelOptions | NoisyOptions | RobustOptions | SupervisedOptions,
    Field(discriminator="kind"),
]


def needs_teacher(options: ObjectiveOptions) -> bool:
    """False only for supervised training without distillation."""
    return not isinstance(options, SupervisedOptions) or options.kd_weight > 0
