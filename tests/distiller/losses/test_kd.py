from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distiller.losses.kd import kd_loss
from tests.distiller.losses.logits import logit_pairs, random_logits, softmax


def kd_by_formula(student: Tensor, teacher: Tensor, temperature: float) -> float:
    """T^2 * mean_n sum_c p_nc (log p_nc - log q_nc), as loops over Python floats."""
    total = 0.0
    for student_row, teacher_row in zip(student.tolist(), teacher.tolist(), strict=True):
        p, q = softmax(teacher_row, temperature), softmax(student_row, temperature)
        total += sum(pc * (math.log(pc) - math.log(qc)) for pc, qc in zip(p, q, strict=True))
    return temperature**2 * total / len(student)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0, 0.5])
def test_equals_the_formula_in_float64(temperature: float) -> None:
    student, teacher = random_logits(7, 5, seed=0), random_logits(7, 5, seed=1)
    expected = kd_by_formula(student, teacher, temperature)
    assert float(kd_loss(student, teacher, temperature=temperature)) == pytest.approx(
        expected, rel=1e-12
    )


def test_float32_is_close_to_float64() -> None:
    student, teacher = random_logits(64, 10, seed=0), random_logits(64, 10, seed=1)
    single = kd_loss(student.float(), teacher.float(), temperature=2.0)
    assert single.dtype == torch.float32
    assert float(single) == pytest.approx(kd_by_formula(student, teacher, 2.0), rel=1e-5)


def test_the_teacher_comes_first() -> None:
    """KL is not symmetric, so exchanging the arguments must change the value."""
    student = torch.tensor([[4.0, 0.0, 0.0]], dtype=torch.float64)
    teacher = torch.tensor([[0.0, 0.0, 0.0]], dtype=torch.float64)
    p, q = [1 / 3] * 3, softmax([4.0, 0.0, 0.0])
    teacher_first = sum(pc * math.log(pc / qc) for pc, qc in zip(p, q, strict=True))
    student_first = sum(qc * math.log(qc / pc) for pc, qc in zip(p, q, strict=True))
    assert abs(teacher_first - student_first) > 0.1
    assert float(kd_loss(student, teacher, temperature=1.0)) == pytest.approx(teacher_first)


def test_the_gradient_is_temperature_times_the_difference_of_distributions() -> None:
    """d/ds of T^2 KL(p || q) is T (q - p) / N: with T^2 its size hardly hangs on T."""
    student, teacher = random_logits(4, 6, seed=2).requires_grad_(), random_logits(4, 6, seed=3)
    kd_loss(student, teacher, temperature=3.0).backward()
    p, q = torch.softmax(teacher / 3, dim=1), torch.softmax(student.detach() / 3, dim=1)
    torch.testing.assert_close(student.grad, 3.0 * (q - p) / 4)


def test_no_gradient_reaches_the_teacher() -> None:
    student = random_logits(3, 4, seed=0).requires_grad_()
    teacher = random_logits(3, 4, seed=1).requires_grad_()
    kd_loss(student, teacher, temperature=2.0).backward()
    assert teacher.grad is None


@given(logit_pairs(), st.floats(0.5, 8.0))
def test_is_never_negative(pair: tuple[Tensor, Tensor], temperature: float) -> None:
    assert float(kd_loss(*pair, temperature=temperature)) >= -1e-11


@given(logit_pairs(), st.floats(0.5, 8.0), st.floats(-20, 20))
def test_is_zero_for_equal_distributions(
    pair: tuple[Tensor, Tensor], temperature: float, shift: float
) -> None:
    """Logits that differ by a constant per image are the same distribution."""
    logits, _ = pair
    assert float(kd_loss(logits + shift, logits, temperature=temperature)) == pytest.approx(
        0.0, abs=1e-9
    )


@given(logit_pairs(limit=8.0), st.floats(0.5, 4.0))
def test_is_zero_only_for_equal_distributions(
    pair: tuple[Tensor, Tensor], temperature: float
) -> None:
    """Pinsker: KL >= |p - q|_1^2 / 2, so a difference that can be seen costs something."""
    student, teacher = pair
    p = torch.softmax(teacher / temperature, dim=1)
    q = torch.softmax(student / temperature, dim=1)
    bound = float(((p - q).abs().sum(dim=1) ** 2 / 2).mean()) * temperature**2
    assert float(kd_loss(student, teacher, temperature=temperature)) >= bound - 1e-11


def test_extreme_logits_stay_finite() -> None:
    student = torch.tensor([[1e4, -1e4], [0.0, 1e4]])
    teacher = torch.tensor([[1e4, -1e4], [1e4, 0.0]])
    loss = kd_loss(student, teacher, temperature=1.0)
    assert float(loss) == pytest.approx(5000.0)


def test_half_precision_is_computed_in_float32() -> None:
    student, teacher = random_logits(8, 10, seed=0), random_logits(8, 10, seed=1)
    loss = kd_loss(student.bfloat16(), teacher.bfloat16(), temperature=2.0)
    assert loss.dtype == torch.float32


def test_weights_multiply_each_image() -> None:
    student, teacher = random_logits(3, 4, seed=0), random_logits(3, 4, seed=1)
    each = [
        float(kd_loss(student[n : n + 1], teacher[n : n + 1], temperature=2.0)) for n in range(3)
    ]
    weights = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    weighted = kd_loss(student, teacher, temperature=2.0, weights_N=weights)
    assert float(weighted) == pytest.approx((each[1] + 2 * each[2]) / 3)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected the same \(N, C\)"):
        kd_loss(torch.zeros(2, 3), torch.zeros(2, 4), temperature=1.0)
    with pytest.raises(ValueError, match="temperature is 0"):
        kd_loss(torch.zeros(2, 3), torch.zeros(2, 3), temperature=0)
