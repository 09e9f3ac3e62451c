from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distiller.losses.decoupled import decoupled_kd_losses
from distiller.losses.kd import kd_values
from tests.distiller.losses.logits import random_logits, softmax


def divergence(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_equals_the_formula_in_float64(temperature: float) -> None:
    student, teacher = random_logits(5, 4, seed=0), random_logits(5, 4, seed=1)
    targets = teacher.argmax(dim=1)
    target_kd = others_kd = 0.0
    for n, k in enumerate(targets.tolist()):
        p = softmax(teacher[n].tolist(), temperature)
        q = softmax(student[n].tolist(), temperature)
        target_kd += divergence([p[k], 1 - p[k]], [q[k], 1 - q[k]])
        rest_p = [v / (1 - p[k]) for c, v in enumerate(p) if c != k]
        rest_q = [v / (1 - q[k]) for c, v in enumerate(q) if c != k]
        others_kd += divergence(rest_p, rest_q)
    found = decoupled_kd_losses(student, teacher, targets, temperature=temperature)
    assert float(found[0]) == pytest.approx(temperature**2 * target_kd / 5, rel=1e-9)
    assert float(found[1]) == pytest.approx(temperature**2 * others_kd / 5, rel=1e-9)


@given(seed=st.integers(0, 500), temperature=st.floats(0.5, 8))
def test_the_parts_add_up_to_kd(seed: int, temperature: float) -> None:
    """KD = TCKD + (1 - p_target) NCKD for every single image (eq. 6)."""
    student, teacher = random_logits(1, 6, seed=seed), random_logits(1, 6, seed=seed + 1)
    targets = teacher.argmax(dim=1)
    target, others = decoupled_kd_losses(student, teacher, targets, temperature=temperature)
    rest = 1 - torch.softmax(teacher / temperature, dim=1)[0, targets[0]]
    expected = kd_values(student, teacher, temperature=temperature)[0]
    torch.testing.assert_close(target + rest * others, expected)


def test_a_teacher_that_is_certain_in_float32_still_teaches_the_others() -> None:
    teacher = torch.tensor([[60.0, 1.0, 0.0]])
    student = torch.zeros(1, 3, requires_grad=True)
    target, others = decoupled_kd_losses(student, teacher, torch.tensor([0]), temperature=1.0)
    assert float(others.detach()) == pytest.approx(
        divergence(softmax([1.0, 0.0]), [0.5, 0.5]), rel=1e-5
    )
    (target + others).backward()
    assert student.grad is not None
    assert bool(student.grad.isfinite().all())


def test_bad_arguments_are_refused() -> None:
    logits = random_logits(3, 4, seed=0)
    with pytest.raises(ValueError, match="expected C >= 2"):
        decoupled_kd_losses(logits[:, :1], logits[:, :1], torch.zeros(3).long(), temperature=1.0)
    with pytest.raises(ValueError, match=r"targets \(2,\)"):
        decoupled_kd_losses(logits, logits, torch.zeros(2).long(), temperature=1.0)
    with pytest.raises(ValueError, match="temperature is -1"):
        decoupled_kd_losses(logits, logits, torch.zeros(3).long(), temperature=-1.0)
