import pytest
import torch

from distiller.losses.reduction import weighted_mean


def test_the_divisor_is_the_batch_size_and_not_the_sum_of_weights() -> None:
    values, weights = torch.tensor([1.0, 2.0, 4.0, 8.0]), torch.tensor([0.0, 0.5, 1.0, 0.25])
    assert float(weighted_mean(values, weights)) == (0 + 1 + 4 + 2) / 4


def test_no_weights_and_all_ones_are_the_same_number() -> None:
    values = torch.rand(33, generator=torch.Generator().manual_seed(0))
    assert torch.equal(weighted_mean(values, None), weighted_mean(values, torch.ones(33)))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(N,\)"):
        weighted_mean(torch.zeros(2, 2), None)
    with pytest.raises(ValueError, match=r"weights have shape \(3,\), expected \(2,\)"):
        weighted_mean(torch.zeros(2), torch.ones(3))
