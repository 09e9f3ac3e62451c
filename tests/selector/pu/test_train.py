"""The loop itself; what it makes of a head and of a network, their own tests tell."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from selector.pu.settings import make_settings
from selector.pu.train import Floats, lr_factor, train_network


def test_schedules() -> None:
    found = [lr_factor("step", p) for p in (0.0, 0.25, 0.5, 0.75)]
    assert found == pytest.approx([1, 0.1, 0.01, 1e-3])
    assert lr_factor("cosine", 0.0) == 1
    assert lr_factor("cosine", 0.5) == pytest.approx(0.5)


class Line(nn.Module):
    """F = a x + b."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(1, 1)
        nn.init.zeros_(self.line.weight)
        nn.init.zeros_(self.line.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.line(x).squeeze(1)


def constant(values: list[float]) -> Iterator[Tensor]:
    while True:
        yield torch.tensor(values)[:, None]


def test_where_the_bracket_is_negative_the_step_ascends_on_it() -> None:
    network = Line()
    nn.init.constant_(network.line.weight, 8.0)

    def evaluate() -> tuple[Floats, Floats]:
        return np.ones(2, np.float32), np.zeros(2, np.float32)

    settings = make_settings("paper", {"steps": 1, "lr": 0.1, "weight_decay": 0, "momentum": 0})
    trained = train_network(
        network,
        constant([1.0]),
        constant([-1.0]),
        evaluate,
        prior=0.5,
        settings=settings,
        steps=1,
    )
    assert trained.curve[0]["ascending"] == 1.0
    assert trained.curve[0]["bracket"] < 0
    # r = sigmoid(b - a) - 0.5 sigmoid(a + b); one step of ascent on it, by hand.
    slope = 1 / (1 + np.exp(-8)) / (1 + np.exp(8))
    moved = 0.1 * slope * np.array([-1 - 0.5, 1 - 0.5])
    assert network.line.weight.item() == pytest.approx(8 + moved[0], abs=1e-6)
    assert network.line.bias.item() == pytest.approx(moved[1], rel=1e-3)
