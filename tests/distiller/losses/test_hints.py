from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distiller.losses.hints import attention, attention_loss, regression_loss, to_size


def maps(*shape: int, seed: int) -> Tensor:
    """float64, about as many above 0 as below."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_regression_is_half_the_papers_sum_over_the_number_of_entries() -> None:
    guided, hint = maps(5, 3, 4, 2, seed=0), maps(5, 3, 4, 2, seed=1)
    paper = [0.5 * float(((r - u) ** 2).sum()) for r, u in zip(guided, hint, strict=True)]
    found = float(regression_loss(guided, hint))
    assert found == pytest.approx(np.mean(paper) * 2 / (3 * 4 * 2), rel=1e-12)


def test_attention_by_loops() -> None:
    student, teacher = maps(4, 3, 2, 5, seed=0), maps(4, 7, 2, 5, seed=1)
    total = 0.0
    for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
        unit = []
        for channels in (s, t):
            energy = [
                sum(channel[h][w] ** 2 for channel in channels) for h in range(2) for w in range(5)
            ]
            length = sum(value**2 for value in energy) ** 0.5
            unit.append([value / length for value in energy])
        total += sum((a - b) ** 2 for a, b in zip(*unit, strict=True))
    assert float(attention_loss(student, teacher)) == pytest.approx(total / 4, rel=1e-12)


@given(seed=st.integers(0, 1000), channels=st.integers(1, 4), scale=st.floats(0.01, 100))
def test_both_are_zero_for_equal_maps_and_attention_forgets_scale(
    seed: int, channels: int, scale: float
) -> None:
    student, teacher = maps(3, channels, 3, 3, seed=seed), maps(3, 2, 3, 3, seed=seed + 1)
    assert float(regression_loss(student, student)) == 0
    assert float(attention_loss(scale * student, student)) == pytest.approx(0, abs=1e-9)
    found = float(attention_loss(student, teacher))
    assert 0 <= found <= 2
    assert float(attention_loss(scale * student, teacher)) == pytest.approx(found, abs=1e-9)


def test_gradients_go_to_the_student_alone_and_are_right() -> None:
    student = maps(3, 2, 3, 3, seed=0).requires_grad_()
    teacher = maps(3, 2, 3, 3, seed=1).requires_grad_()
    for loss in (regression_loss, attention_loss):
        assert torch.autograd.gradcheck(lambda x, loss=loss: loss(x, teacher.detach()), student)
        loss(student, teacher).backward()
    assert teacher.grad is None


def test_a_map_of_zeros_has_no_attention_and_no_gradient_that_is_not_finite() -> None:
    student = torch.zeros(2, 3, 2, 2, requires_grad=True)
    assert torch.equal(attention(student.detach()), torch.zeros(2, 4))
    attention_loss(student, maps(2, 3, 2, 2, seed=0).float()).backward()
    assert student.grad is not None
    assert bool(student.grad.isfinite().all())


def test_an_image_of_weight_zero_is_as_good_as_absent() -> None:
    student, teacher = maps(6, 2, 3, 3, seed=0), maps(6, 2, 3, 3, seed=1)
    weights = torch.tensor([2.0, 2.0, 2.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    for loss in (regression_loss, attention_loss):
        weighted = loss(student, teacher, weights_N=weights)
        torch.testing.assert_close(weighted, loss(student[:3], teacher[:3]))


def test_low_precision_is_raised() -> None:
    student, teacher = maps(3, 2, 3, 3, seed=0).bfloat16(), maps(3, 2, 3, 3, seed=1).float()
    for loss in (regression_loss, attention_loss):
        assert loss(student, teacher).dtype == torch.float32


def test_a_larger_map_is_averaged_and_averages_commute_with_a_regressor() -> None:
    large = maps(2, 3, 4, 8, seed=0)
    blocks = large.view(2, 3, 2, 2, 2, 4).mean(dim=(3, 5))
    torch.testing.assert_close(to_size(large, (2, 2)), blocks)
    assert to_size(large, (4, 8)) is large
    regressor = torch.nn.Conv2d(3, 5, 1).double()
    torch.testing.assert_close(regressor(to_size(large, (3, 3))), to_size(regressor(large), (3, 3)))


def test_shapes_that_do_not_fit_are_refused() -> None:
    for student, teacher in (((2, 3, 4, 4), (2, 3, 2, 2)), ((2, 3, 4, 4), (3, 3, 4, 4))):
        for loss in (regression_loss, attention_loss):
            with pytest.raises(ValueError, match="maps of shape"):
                loss(torch.zeros(student), torch.zeros(teacher))
    with pytest.raises(ValueError, match="equal shapes"):
        regression_loss(torch.zeros(2, 3, 4, 4), torch.zeros(2, 5, 4, 4))
