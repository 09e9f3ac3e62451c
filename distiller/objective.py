"""From configuration to one scalar: which losses are added up, and what each contributed.

Legend: N = images in the batch, C = classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import Tensor

from distiller.losses.hard import hard_cross_entropy, pseudo_labels
from distiller.losses.kd import kd_loss
from distiller.losses.noisy import noisy_cross_entropy
from distiller.options import Options
from distiller.transition_matrix import TransitionMatrix


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


class PseudoLabelOptions(Options):
    """Learn the teacher's hard decision: loss = CE(s, y_hat) + kd_weight * KD_T."""

    kind: Literal["pseudo_label"] = "pseudo_label"
    """The objective's name."""

    kd_weight: float = Field(default=0.0, ge=0)
    """Weight of KD_T; 0 = pseudo-labels alone."""

    temperature: float = Field(default=4.0, gt=0)
    """T of KD_T."""


class NoisyOptions(Options):
    """DFND's noisy distillation: loss = CE(Q softmax(s), y_hat) + kd_weight * KD_T."""

    kind: Literal["noisy"] = "noisy"
    """The objective's name."""

    kd_weight: float = Field(default=1.0, ge=0)
    """lambda of the paper, on the scale where KD_T carries its T^2."""

    temperature: float = Field(default=2.0, gt=0)
    """T of KD_T."""

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


ObjectiveOptions = Annotated[
    KdOptions | PseudoLabelOptions | NoisyOptions | SupervisedOptions,
    Field(discriminator="kind"),
]


def needs_teacher(options: ObjectiveOptions) -> bool:
    """False only for supervised training without distillation."""
    return not isinstance(options, SupervisedOptions) or options.kd_weight > 0


@dataclass(frozen=True)
class LossParts:
    """A batch's loss and where it came from."""

    total: Tensor
    """Scalar to minimise; carries the gradient."""

    parts: dict[str, Tensor]
    """Unweighted scalars without gradient, by name: kd, label_ce, pseudo_label_ce, noisy_ce."""


@dataclass(frozen=True)
class Objective:
    """The configured sum of losses; `transition` is Q where the objective has a learnable one."""

    options: ObjectiveOptions
    transition: TransitionMatrix | None = None

    def __post_init__(self) -> None:
        wanted = isinstance(self.options, NoisyOptions) and self.options.transition.mode != "none"
        if wanted != (self.transition is not None):
            raise ValueError(
                f"objective {self.options.kind!r} {'needs' if wanted else 'takes no'} "
                "transition matrix"
            )

    def __call__(
        self,
        student_logits_NC: Tensor,
        *,
        teacher_logits_NC: Tensor | None = None,
        labels_N: Tensor | None = None,
        weights_N: Tensor | None = None,
    ) -> LossParts:
        """The loss of a batch.

        Args:
            student_logits_NC: (N, C).
            teacher_logits_NC: (N, C) of the same view; only plain supervision does without.
            labels_N: (N,) int64 true labels; only for kind supervised.
            weights_N: (N,) sample weights that average 1 over the training set, or None.

        Raises:
            ValueError: an input that the objective needs is missing.
        """
        options = self.options
        parts: dict[str, Tensor] = {}
        total: Tensor | None = None
        if isinstance(options, SupervisedOptions):
            total = hard_cross_entropy(
                student_logits_NC,
                _given(labels_N, "labels"),
                label_smoothing=options.label_smoothing,
                weights_N=weights_N,
            )
            parts["label_ce"] = total.detach()
        elif not isinstance(options, KdOptions):
            y_hat_N = pseudo_labels(_given(teacher_logits_NC, "teacher logits"))
            if self.transition is None:
                total = hard_cross_entropy(student_logits_NC, y_hat_N, weights_N=weights_N)
                parts["pseudo_label_ce"] = total.detach()
            else:
                total = noisy_cross_entropy(
                    student_logits_NC, y_hat_N, self.transition(), weights_N=weights_N
                )
                parts["noisy_ce"] = total.detach()
        kd_weight = 1.0 if isinstance(options, KdOptions) else options.kd_weight
        if kd_weight > 0:
            kd = kd_loss(
                student_logits_NC,
                _given(teacher_logits_NC, "teacher logits"),
                temperature=options.temperature,
                weights_N=weights_N,
            )
            parts["kd"] = kd.detach()
            total = kd_weight * kd if total is None else total + kd_weight * kd
        assert total is not None  # every kind has a term of weight above 0
        return LossParts(total=total, parts=parts)


def _given(value: Tensor | None, name: str) -> Tensor:
    if value is None:
        raise ValueError(f"the objective needs {name}, and none were passed")
    return value
