from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distiller.losses.relational import inter_class_loss, intra_class_loss
from tests.distiller.losses.logits import random_logits


def softened(logits: Tensor, temperature: float) -> np.ndarray:
    scaled = np.exp(logits.numpy() / temperature)
    return scaled / scaled.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_equal_one_minus_numpys_correlation(temperature: float) -> None:
    student, teacher = random_logits(9, 5, seed=0), random_logits(9, 5, seed=1)
    p, q = softened(student, temperature), softened(teacher, temperature)
    rows = [np.corrcoef(p[n], q[n])[0, 1] for n in range(9)]
    columns = [np.corrcoef(p[:, c], q[:, c])[0, 1] for c in range(5)]
    inter = inter_class_loss(student, teacher, temperature=temperature)
    intra = intra_class_loss(student, teacher, temperature=temperature)
    assert float(inter) == pytest.approx(temperature**2 * (1 - np.mean(rows)), rel=1e-9)
    assert float(intra) == pytest.approx(temperature**2 * (1 - np.mean(columns)), rel=1e-9)


@given(seed=st.integers(0, 1000))
def test_both_are_zero_for_equal_logits_and_bounded(seed: int) -> None:
    student, teacher = random_logits(6, 4, seed=seed), random_logits(6, 4, seed=seed + 1)
    for loss in (inter_class_loss, intra_class_loss):
        assert float(loss(teacher, teacher, temperature=2.0)) == pytest.approx(0, abs=1e-9)
        assert 0 <= float(loss(student, teacher, temperature=2.0)) <= 8


def test_an_image_of_weight_zero_is_as_good_as_absent() -> None:
    student, teacher = random_logits(6, 4, seed=0), random_logits(6, 4, seed=1)
    weights = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    found = intra_class_loss(student, teacher, temperature=2.0, weights_N=weights)
    torch.testing.assert_close(found, intra_class_loss(student[:4], teacher[:4], temperature=2.0))
    found = inter_class_loss(student, teacher, temperature=2.0, weights_N=weights * 1.5)
    torch.testing.assert_close(found, inter_class_loss(student[:4], teacher[:4], temperature=2.0))


def test_a_batch_without_spread_stays_finite() -> None:
    student = torch.zeros(3, 4, requires_grad=True)
    teacher = random_logits(1, 4, seed=0).float().repeat(3, 1)
    for loss in (inter_class_loss, intra_class_loss):
        student.grad = None
        loss(student, teacher, temperature=1.0).backward()
        assert student.grad is not None
        assert bool(student.grad.isfinite().all())


def test_shapes_and_temperature_are_checked() -> None:
    student = random_logits(3, 4, seed=0)
    with pytest.raises(ValueError, match="expected the same"):
        inter_class_loss(student, student[:2], temperature=1.0)
    with pytest.raises(ValueError, match="temperature is 0"):
        intra_class_loss(student, student, temperature=0)
    with pytest.raises(ValueError, match="weights have shape"):
        intra_class_loss(student, student, temperature=1.0, weights_N=torch.ones(2))
