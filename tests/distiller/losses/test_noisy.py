from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from distiller.losses.hard import hard_cross_entropy
from distiller.losses.noisy import noisy_cross_entropy, noisy_probabilities
from tests.distiller.losses.logits import random_logits, softmax


def column_stochastic(classes: int, *, seed: int) -> Tensor:
    """(C, C) float64 whose columns, and not rows, sum to 1."""
    return torch.softmax(random_logits(classes, classes, seed=seed), dim=0)


def noisy_by_formula(logits: Tensor, labels: list[int], transition: Tensor) -> float:
    """-mean_n log sum_j Q[y_n, j] p_nj, as loops over Python floats."""
    q, total = transition.tolist(), 0.0
    for row, label in zip(logits.tolist(), labels, strict=True):
        p = softmax(row)
        total -= math.log(sum(q[label][j] * p[j] for j in range(len(p))))
    return total / len(labels)


def test_equals_the_formula_in_float64() -> None:
    logits, transition = random_logits(6, 4, seed=0), column_stochastic(4, seed=1)
    labels = [3, 0, 1, 1, 2, 3]
    loss = noisy_cross_entropy(logits, torch.tensor(labels), transition)
    assert float(loss) == pytest.approx(noisy_by_formula(logits, labels, transition), rel=1e-12)


def test_orientation_of_q() -> None:
    """Q[i, j] = P(pseudo-label i | true class j): a student certain of class 0 under a teacher
    that calls a third of class 0 "class 1" predicts pseudo-label 1 with probability 1/3; with
    the matrix the other way round it would be 0.1."""
    transition = torch.tensor([[2 / 3, 0.1], [1 / 3, 0.9]], dtype=torch.float64)
    torch.testing.assert_close(transition.sum(dim=0), torch.ones(2, dtype=torch.float64))
    certain_of_0 = torch.tensor([[60.0, 0.0]], dtype=torch.float64)
    probabilities = noisy_probabilities(certain_of_0, transition)
    torch.testing.assert_close(probabilities, torch.tensor([[2 / 3, 1 / 3]], dtype=torch.float64))
    loss = noisy_cross_entropy(certain_of_0, torch.tensor([1]), transition)
    assert float(loss) == pytest.approx(math.log(3))


def test_is_the_cross_entropy_of_the_row_form() -> None:
    """METHODS' row form: noisy probabilities = softmax(s) @ Q.T."""
    logits, transition = random_logits(9, 5, seed=2), column_stochastic(5, seed=3)
    labels = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2, 3])
    rows = torch.softmax(logits, dim=1) @ transition.T
    expected = -rows[torch.arange(9), labels].log().mean()
    torch.testing.assert_close(noisy_cross_entropy(logits, labels, transition), expected)
    torch.testing.assert_close(noisy_probabilities(logits, transition), rows)


@given(
    hnp.arrays(np.float64, (4, 4), elements=st.floats(-6, 6)),
    hnp.arrays(np.float64, (3, 4), elements=st.floats(-30, 30)),
)
def test_noisy_probabilities_are_a_distribution(q_logits: np.ndarray, logits: np.ndarray) -> None:
    transition = torch.softmax(torch.from_numpy(q_logits), dim=0)
    p = noisy_probabilities(torch.from_numpy(logits), transition)
    assert bool((p >= 0).all())
    torch.testing.assert_close(p.sum(dim=1), torch.ones(3, dtype=torch.float64))


def test_the_identity_makes_it_plain_cross_entropy() -> None:
    logits, labels = random_logits(5, 3, seed=4), torch.tensor([0, 1, 2, 0, 1])
    noisy = noisy_cross_entropy(logits, labels, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(noisy, hard_cross_entropy(logits, labels))


def test_gradients_are_those_of_the_function() -> None:
    logits = random_logits(3, 4, seed=5).requires_grad_()
    transition = column_stochastic(4, seed=6).requires_grad_()
    labels = torch.tensor([2, 0, 3])
    assert torch.autograd.gradcheck(
        lambda s, q: noisy_cross_entropy(s, labels, q), (logits, transition)
    )


def test_zeros_in_q_and_underflowing_probabilities_give_no_nan() -> None:
    logits = torch.tensor([[500.0, 0.0, -500.0]], requires_grad=True)
    transition = torch.eye(3, requires_grad=True)
    loss = noisy_cross_entropy(logits, torch.tensor([2]), transition)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(1000.0)
    for gradient in (logits.grad, transition.grad):
        assert gradient is not None
        assert bool(torch.isfinite(gradient).all())


def test_wrong_shapes_are_refused() -> None:
    labels = torch.tensor([0, 1])
    with pytest.raises(ValueError, match=r"expected \(3, 3\) for 3 classes"):
        noisy_cross_entropy(torch.zeros(2, 3), labels, torch.eye(4))
    with pytest.raises(ValueError, match=r"expected \(N, C\) and \(N,\)"):
        noisy_cross_entropy(torch.zeros(3, 3), labels, torch.eye(3))
