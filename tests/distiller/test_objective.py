from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from distiller.adversary import Adversary
from distiller.losses.hard import hard_cross_entropy
from distiller.losses.kd import kd_loss, kd_values
from distiller.losses.noisy import noisy_cross_entropy
from distiller.losses.robust import class_loss_sums
from distiller.objective import Objective
from distiller.objective_options import (
    KdOptions,
    NoisyOptions,
    ObjectiveOptions,
    PseudoLabelOptions,
    SupervisedOptions,
    TransitionOptions,
    needs_teacher,
)
from distiller.robust_options import RobustOptions
from distiller.transition_matrix import TransitionMatrix, start_from_accuracies
from tests.distiller.losses.logits import random_logits

STUDENT, TEACHER = random_logits(6, 3, seed=0), random_logits(6, 3, seed=1)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
Y_HAT = TEACHER.argmax(dim=1)
Q = start_from_accuracies(torch.tensor([0.9, 0.8, 0.7]))


def kd(temperature: float) -> Tensor:
    return kd_loss(STUDENT, TEACHER, temperature=temperature)


def test_kd_is_kd_alone() -> None:
    loss = Objective(KdOptions(temperature=3.0))(STUDENT, teacher_logits_NC=TEACHER)
    torch.testing.assert_close(loss.total, kd(3.0))
    assert loss.parts.keys() == {"kd"}


@pytest.mark.parametrize("kd_weight", [0.0, 0.7])
def test_pseudo_label_is_cross_entropy_with_the_arg_max(kd_weight: float) -> None:
    options = PseudoLabelOptions(kd_weight=kd_weight, temperature=2.0)
    loss = Objective(options)(STUDENT, teacher_logits_NC=TEACHER)
    expected = hard_cross_entropy(STUDENT, Y_HAT)
    torch.testing.assert_close(loss.total, expected + kd_weight * kd(2.0))
    torch.testing.assert_close(loss.parts["pseudo_label_ce"], expected)
    assert ("kd" in loss.parts) == (kd_weight > 0)


def test_noisy_is_cross_entropy_through_q_plus_lambda_kd() -> None:
    options = NoisyOptions(kd_weight=0.5, temperature=2.0)
    transition = TransitionMatrix(Q).double()
    loss = Objective(options, transition)(STUDENT, teacher_logits_NC=TEACHER)
    expected = noisy_cross_entropy(STUDENT, Y_HAT, transition())
    torch.testing.assert_close(loss.total, expected + 0.5 * kd(2.0))
    assert loss.parts.keys() == {"noisy_ce", "kd"}
    loss.total.backward()
    assert transition.logits_CC.grad is not None


def test_noisy_without_q_is_plain_pseudo_label_cross_entropy() -> None:
    options = NoisyOptions(transition=TransitionOptions(mode="none"), temperature=2.0)
    loss = Objective(options)(STUDENT, teacher_logits_NC=TEACHER)
    torch.testing.assert_close(loss.total, hard_cross_entropy(STUDENT, Y_HAT) + kd(2.0))
    assert loss.parts.keys() == {"pseudo_label_ce", "kd"}


def test_supervised_is_cross_entropy_with_the_labels() -> None:
    loss = Objective(SupervisedOptions(label_smoothing=0.1))(STUDENT, labels_N=LABELS)
    expected = hard_cross_entropy(STUDENT, LABELS, label_smoothing=0.1)
    torch.testing.assert_close(loss.total, expected)
    assert loss.parts.keys() == {"label_ce"}


def test_supervised_with_distillation_adds_it() -> None:
    options = SupervisedOptions(kd_weight=2.0, temperature=4.0)
    loss = Objective(options)(STUDENT, teacher_logits_NC=TEACHER, labels_N=LABELS)
    torch.testing.assert_close(loss.total, hard_cross_entropy(STUDENT, LABELS) + 2.0 * kd(4.0))


@pytest.mark.parametrize(
    "options", [KdOptions(), PseudoLabelOptions(kd_weight=1), SupervisedOptions(kd_weight=1)]
)
def test_weights_reach_every_part(options: ObjectiveOptions) -> None:
    """Images of weight 0 do not exist for the loss."""
    weights = torch.tensor([2.0, 2.0, 2.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    objective = Objective(options)
    weighted = objective(STUDENT, teacher_logits_NC=TEACHER, labels_N=LABELS, weights_N=weights)
    half = objective(STUDENT[:3], teacher_logits_NC=TEACHER[:3], labels_N=LABELS[:3])
    torch.testing.assert_close(weighted.total, half.total)


@pytest.mark.parametrize("name", ["none", "sampled", "worst_case", "paper"])
def test_robust_is_kd_with_the_weights_of_the_winner(name: Any) -> None:
    options = RobustOptions(adversary=name, temperature=2.0, eps=0.3, memory=0.0)
    nominal = torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64)
    loss = Objective(options, adversary=Adversary(nominal, options, seed=0))(
        STUDENT, teacher_logits_NC=TEACHER
    )
    winner = Adversary(nominal, options, seed=0).choose(
        class_loss_sums(kd_values(STUDENT, TEACHER, temperature=2.0), Y_HAT, num_classes=3),
        Y_HAT.bincount(minlength=3),
        step=0,
    )
    weighted = kd_loss(STUDENT, TEACHER, temperature=2.0, weights_N=winner.weights_C[Y_HAT])
    torch.testing.assert_close(loss.total, weighted)
    torch.testing.assert_close(loss.parts["kd"], kd(2.0))
    by_nominal = kd_loss(STUDENT, TEACHER, temperature=2.0, weights_N=nominal[Y_HAT])
    torch.testing.assert_close(loss.parts["class_kd"], by_nominal)
    if name in ("worst_case", "paper"):
        assert float(loss.total) >= float(by_nominal)


def test_known_labels_add_a_term_on_their_images_alone() -> None:
    labels = torch.tensor([-1, 1, -1, -1, 2, -1])
    plain = Objective(KdOptions(temperature=2.0))(STUDENT, teacher_logits_NC=TEACHER)
    loss = Objective(KdOptions(temperature=2.0), label_weight=0.5)(
        STUDENT, teacher_logits_NC=TEACHER, labels_N=labels
    )
    known = hard_cross_entropy(STUDENT[[1, 4]], labels[[1, 4]]) * 2 / 6
    torch.testing.assert_close(loss.total, plain.total + 0.5 * known)
    torch.testing.assert_close(loss.parts["label_ce"], known)
    with pytest.raises(ValueError, match="needs labels"):
        Objective(KdOptions(), label_weight=0.5)(STUDENT, teacher_logits_NC=TEACHER)


def test_an_adversary_and_the_objective_have_to_fit() -> None:
    with pytest.raises(ValueError, match="'robust' needs an adversary"):
        Objective(RobustOptions())
    with pytest.raises(ValueError, match="'kd' takes no adversary"):
        Objective(KdOptions(), adversary=Adversary(torch.ones(3), RobustOptions(), seed=0))


def test_parts_carry_no_gradient() -> None:
    student = STUDENT.clone().requires_grad_()
    loss = Objective(KdOptions())(student, teacher_logits_NC=TEACHER)
    assert loss.total.requires_grad
    assert not loss.parts["kd"].requires_grad


def test_who_needs_a_teacher() -> None:
    assert needs_teacher(KdOptions())
    assert needs_teacher(PseudoLabelOptions())
    assert needs_teacher(NoisyOptions(kd_weight=0))
    assert needs_teacher(SupervisedOptions(kd_weight=0.1))
    assert not needs_teacher(SupervisedOptions())


def test_a_missing_input_is_named() -> None:
    with pytest.raises(ValueError, match="needs teacher logits"):
        Objective(KdOptions())(STUDENT)
    with pytest.raises(ValueError, match="needs labels"):
        Objective(SupervisedOptions())(STUDENT)


def test_q_and_the_objective_have_to_fit() -> None:
    with pytest.raises(ValueError, match="'noisy' needs transition matrix"):
        Objective(NoisyOptions())
    with pytest.raises(ValueError, match="'kd' takes no transition matrix"):
        Objective(KdOptions(), TransitionMatrix(Q))
