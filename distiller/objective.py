"""From configuration to one scalar: which losses are added up, and what each contributed.

Legend: N = images in the batch, C = classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from distiller.adversary import Adversary
from distiller.losses.hard import (
    hard_cross_entropy,
    known_label_cross_entropy,
    pseudo_labels,
)
from distiller.losses.kd import kd_values
from distiller.losses.noisy import noisy_cross_entropy
from distiller.losses.reduction import weighted_mean
from distiller.losses.robust import class_loss_sums, weighted_loss
from distiller.matching import match_loss
from distiller.objective_options import (
    KdOptions,
    NoisyOptions,
    ObjectiveOptions,
    SupervisedOptions,
)
from distiller.robust_options import RobustOptions
from distiller.transition_matrix import TransitionMatrix


@dataclass(frozen=True)
class LossParts:
    """A batch's loss and where it came from."""

    total: Tensor
    """Scalar to minimise; carries the gradient."""

    parts: dict[str, Tensor]
    """Unweighted scalars without gradient, by name: label_ce, pseudo_label_ce, noisy_ce, those of
    `distiller.matching`, robust_kd (with the weights that won), class_kd (with the nominal
    ones), those of `distiller.hints`."""

    figures: dict[str, Tensor] = field(default_factory=dict)
    """Further scalars for the log, which are no losses."""

    def plus(self, loss: Tensor, parts: Mapping[str, Tensor]) -> LossParts:
        """With one more loss, already weighted, and its unweighted parts."""
        return LossParts(self.total + loss, {**self.parts, **parts}, self.figures)


@dataclass(frozen=True)
class Objective:
    """The configured sum of losses.

    Attributes:
        options: which.
        transition: Q where the objective has one.
        adversary: who picks the class weights; of the robust objective alone.
        label_weight: weight of the cross-entropy against known labels, which is added for the
            images that have one.
    """

    options: ObjectiveOptions
    transition: TransitionMatrix | None = None
    adversary: Adversary | None = None
    label_weight: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.options, RobustOptions) != (self.adversary is not None):
            raise ValueError(
                f"objective {self.options.kind!r} "
                f"{'takes no' if self.adversary is not None else 'needs an'} adversary"
            )
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
        step: int = 0,
    ) -> LossParts:
        """The loss of a batch.

        Args:
            student_logits_NC: (N, C).
            teacher_logits_NC: (N, C) of the same view; only plain supervision does without.
            labels_N: (N,) int64 true labels; -1 = unknown, which kind supervised does not take.
                Used by that kind and where `label_weight` is above 0.
            weights_N: (N,) sample weights that average 1 over the training set, or None.
            step: number of the update, from 0.

        Raises:
            ValueError: an input that the objective needs is missing.
        """
        if isinstance(self.options, RobustOptions):
            loss = self._robust(
                student_logits_NC,
                _given(teacher_logits_NC, "teacher logits"),
                weights_N=weights_N,
                step=step,
            )
        else:
            loss = self._plain(student_logits_NC, teacher_logits_NC, labels_N, weights_N)
        if self.label_weight == 0:
            return loss
        label_ce = known_label_cross_entropy(
            student_logits_NC, _given(labels_N, "labels"), weights_N=weights_N
        )
        return loss.plus(self.label_weight * label_ce, {"label_ce": label_ce.detach()})

    def _robust(
        self,
        student_logits_NC: Tensor,
        teacher_logits_NC: Tensor,
        *,
        weights_N: Tensor | None,
        step: int,
    ) -> LossParts:
        """max over class weights of mean_n w'[argmax t_n] KD_T; the gradient is the winner's."""
        options, adversary = self.options, self.adversary
        assert isinstance(options, RobustOptions)
        assert adversary is not None  # checked when the objective was made
        values_N = kd_values(student_logits_NC, teacher_logits_NC, temperature=options.temperature)
        decision_N = pseudo_labels(teacher_logits_NC)
        num, num_classes = student_logits_NC.shape
        sums_C = class_loss_sums(values_N, decision_N, num_classes=num_classes, weights_N=weights_N)
        counts_C = decision_N.bincount(minlength=num_classes)
        choice = adversary.choose(sums_C, counts_C, step=step)
        total = weighted_loss(sums_C, choice.weights_C, count=num)
        nominal = weighted_loss(sums_C.detach(), adversary.weights_C, count=num)
        kd = weighted_mean(values_N.detach(), weights_N)
        parts = {"robust_kd": total.detach(), "class_kd": nominal, "kd": kd}
        return LossParts(total, parts, choice.figures)

    def _plain(
        self,
        student_logits_NC: Tensor,
        teacher_logits_NC: Tensor | None,
        labels_N: Tensor | None,
        weights_N: Tensor | None,
    ) -> LossParts:
        options = self.options
        assert not isinstance(options, RobustOptions)
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
            match, match_parts = match_loss(
                options.match,
                student_logits_NC,
                _given(teacher_logits_NC, "teacher logits"),
                temperature=options.temperature,
                weights_N=weights_N,
            )
            parts |= match_parts
            total = kd_weight * match if total is None else total + kd_weight * match
        assert total is not None  # every kind has a term of weight above 0
        return LossParts(total=total, parts=parts)


def _given(value: Tensor | None, name: str) -> Tensor:
    if value is None:
        raise ValueError(f"the objective needs {name}, and none were passed")
    return value
