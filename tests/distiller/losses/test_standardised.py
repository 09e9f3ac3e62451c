from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distiller.losses.standardised import standardise_logits, standardised_kd_loss
from tests.distiller.losses.logits import random_logits, softmax


def z_scores(row: list[float]) -> list[float]:
    mean = sum(row) / len(row)
    std = math.sqrt(sum((z - mean) ** 2 for z in row) / len(row))
    return [(z - mean) / std for z in row]


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_equals_the_formula_in_float64(temperature: float) -> None:
    student, teacher = random_logits(7, 5, seed=0), random_logits(7, 5, seed=1)
    total = 0.0
    for student_row, teacher_row in zip(student.tolist(), teacher.tolist(), strict=True):
        p = softmax(z_scores(teacher_row), temperature)
        q = softmax(z_scores(student_row), temperature)
        total += sum(pc * math.log(pc / qc) for pc, qc in zip(p, q, strict=True))
    expected = temperature**2 * total / 7
    found = standardised_kd_loss(student, teacher, temperature=temperature)
    assert float(found) == pytest.approx(expected, rel=1e-9)


@given(scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_size_and_shift_of_logits_do_not_matter(scale: float, shift: float) -> None:
    teacher = random_logits(4, 6, seed=1)
    loss = standardised_kd_loss(scale * teacher + shift, teacher, temperature=2.0)
    assert float(loss) == pytest.approx(0, abs=1e-9)


def test_weights_weigh_images() -> None:
    student, teacher = random_logits(2, 5, seed=0), random_logits(2, 5, seed=1)
    first = standardised_kd_loss(student[:1], teacher[:1], temperature=2.0)
    weighted = standardised_kd_loss(
        student, teacher, temperature=2.0, weights_N=torch.tensor([2.0, 0.0])
    )
    torch.testing.assert_close(weighted, first)


def test_equal_logits_stay_finite_also_in_the_gradient() -> None:
    student = torch.zeros(2, 4, requires_grad=True)
    standardised_kd_loss(student, torch.ones(2, 4), temperature=2.0).backward()
    assert student.grad is not None
    assert bool(student.grad.isfinite().all())
    assert standardise_logits(torch.zeros(1, 4, dtype=torch.bfloat16)).dtype == torch.float32
