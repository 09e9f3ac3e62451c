from __future__ import annotations

import math

import pytest
import torch

from distiller.losses.hard import (
    hard_cross_entropy,
    known_label_cross_entropy,
    pseudo_labels,
)
from tests.distiller.losses.logits import random_logits, softmax


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_the_formula_in_float64(smoothing: float) -> None:
    logits, labels = random_logits(6, 4, seed=0), [3, 0, 1, 1, 2, 3]
    expected = 0.0
    for row, label in zip(logits.tolist(), labels, strict=True):
        q = softmax(row)
        target = [smoothing / 4 + (1 - smoothing) * (c == label) for c in range(4)]
        expected -= sum(t * math.log(qc) for t, qc in zip(target, q, strict=True)) / 6
    loss = hard_cross_entropy(logits, torch.tensor(labels), label_smoothing=smoothing)
    assert float(loss) == pytest.approx(expected, rel=1e-12)


def test_pseudo_labels_are_the_arg_max_and_ties_go_to_the_lower_class() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0], [5.0, 5.0, 0.0], [1.0, 3.0, 3.0]])
    assert pseudo_labels(logits).tolist() == [1, 0, 1]


def test_weights_multiply_each_image() -> None:
    logits, labels = random_logits(2, 3, seed=1), torch.tensor([0, 2])
    weighted = hard_cross_entropy(
        logits, labels, weights_N=torch.tensor([2.0, 0.0], dtype=torch.float64)
    )
    first = hard_cross_entropy(logits[:1], labels[:1])
    assert float(weighted) == pytest.approx(float(first))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(N, C\) and \(N,\)"):
        hard_cross_entropy(torch.zeros(2, 3), torch.zeros(3, dtype=torch.int64))


def test_a_label_outside_the_classes_is_an_error() -> None:
    with pytest.raises(IndexError):
        hard_cross_entropy(torch.zeros(1, 3), torch.tensor([3]))


def test_unknown_labels_cost_nothing_and_the_divisor_stays_the_batch() -> None:
    logits = random_logits(5, 3, seed=7).requires_grad_()
    labels = torch.tensor([-1, 2, -1, 0, -1])
    loss = known_label_cross_entropy(logits, labels)
    expected = hard_cross_entropy(logits[[1, 3]], labels[[1, 3]]) * 2 / 5
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert logits.grad is not None
    assert bool((logits.grad[[0, 2, 4]] == 0).all())
    nothing = known_label_cross_entropy(logits, torch.full((5,), -1))
    assert float(nothing.detach()) == 0
    weights = torch.tensor([9.0, 2.0, 9.0, 0.0, 9.0], dtype=torch.float64)
    weighted = known_label_cross_entropy(logits, labels, weights_N=weights)
    torch.testing.assert_close(weighted, 2 * hard_cross_entropy(logits[[1]], labels[[1]]) / 5)
