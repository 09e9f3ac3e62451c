from __future__ import annotations

import pytest
import torch
from torch import Tensor

from distiller.losses.hard import hard_cross_entropy
from distiller.losses.kd import kd_loss
from distiller.losses.noisy import noisy_cross_entropy
from distiller.objective import (
    KdOptions,
    NoisyOptions,
    Objective,
    ObjectiveOptions,
    PseudoLabelOptions,
    SupervisedOptions,
    TransitionOptions,
    needs_teacher,
)
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
