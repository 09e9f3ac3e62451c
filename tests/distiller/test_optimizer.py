from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from distiller.optimizer import (
    OptimizerOptions,
    build_optimizer,
    learning_rate,
    set_learning_rate,
)


def trained_with(optimizer: torch.optim.Optimizer, weight: nn.Parameter) -> list[float]:
    """The weight after four steps on sum(w^2) with a rate that changes on the way."""
    for lr in (0.1, 0.1, 0.05, 0.2):
        set_learning_rate(optimizer, lr)
        optimizer.zero_grad()
        (weight**2).sum().backward()
        optimizer.step()
    return weight.tolist()


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_by_formula(nesterov: bool) -> None:
    """v = m v + g + wd w; w -= lr (g + wd w + m v if nesterov else v)."""
    weight = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    options = OptimizerOptions(lr=0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.01)
    found = trained_with(build_optimizer([weight], options), weight)
    for start, end in zip((1.0, -2.0), found, strict=True):
        w, v = start, 0.0
        for lr in (0.1, 0.1, 0.05, 0.2):
            gradient = 2 * w + 0.01 * w
            v = 0.9 * v + gradient
            w -= lr * (gradient + 0.9 * v if nesterov else v)
        assert end == pytest.approx(w, rel=1e-12)


def test_adam_by_formula() -> None:
    weight = nn.Parameter(torch.tensor([1.5], dtype=torch.float64))
    options = OptimizerOptions(kind="adam", lr=0.1, betas=(0.8, 0.99))
    (found,) = trained_with(build_optimizer([weight], options), weight)
    w, m, v = 1.5, 0.0, 0.0
    for step, lr in enumerate((0.1, 0.1, 0.05, 0.2), start=1):
        gradient = 2 * w
        m, v = 0.8 * m + 0.2 * gradient, 0.99 * v + 0.01 * gradient**2
        w -= lr * (m / (1 - 0.8**step)) / ((v / (1 - 0.99**step)) ** 0.5 + 1e-8)
    assert found == pytest.approx(w, rel=1e-10)


def test_learning_rate_is_the_one_set_last() -> None:
    optimizer = build_optimizer([nn.Parameter(torch.zeros(1))], OptimizerOptions(lr=0.3))
    assert learning_rate(optimizer) == 0.3
    set_learning_rate(optimizer, 0.03)
    assert learning_rate(optimizer) == 0.03


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(ValidationError, match="nesterov"):
        OptimizerOptions(momentum=0, nesterov=True)


def test_adamw_takes_weight_decay_off_the_weight_itself() -> None:
    weight = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    options = OptimizerOptions(kind="adamw", lr=0.1, weight_decay=0.3)
    found = trained_with(build_optimizer([weight], options), weight)
    for start, end in zip((1.0, -2.0), found, strict=True):
        w, m, v = start, 0.0, 0.0
        for step, lr in enumerate((0.1, 0.1, 0.05, 0.2), start=1):
            gradient = 2 * w
            w -= lr * 0.3 * w
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            w -= lr * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)) ** 0.5 + 1e-8)
        assert end == pytest.approx(w, rel=1e-9)
