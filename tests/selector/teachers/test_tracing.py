from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from selector.teachers.tracing import is_called, trace
from selector.teachers.zoo import build_model
from tests.support.models import tiny_model


class Twice(nn.Module):
    """Calls one module twice and another that answers with a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.pair = Pair()

    def forward(self, x: Tensor) -> Tensor:
        low, high = self.pair(self.relu(x))
        return self.relu(low + high)


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x + 1


def test_remembers_what_modules_return() -> None:
    model = tiny_model("he/resnet8")
    traced = trace(model)
    assert {"layer1", "layer2.0", "layer3", "layer1.0.conv1", "linear"} <= set(traced.outputs)
    node = traced.outputs["layer1.0.conv1"]
    modules = dict(traced.module.named_modules())
    assert is_called(node, modules, (nn.Conv2d,))
    assert not is_called(node, modules, (nn.Linear,))
    assert not is_called(traced.outputs["layer1"], modules, (nn.Conv2d,))  # a function: F.relu


def test_the_last_output_counts_and_tuples_have_none() -> None:
    traced = trace(Twice())
    calls = [node for node in traced.module.graph.nodes if node.target == "relu"]
    assert traced.outputs["relu"] is calls[1]
    assert "pair" not in traced.outputs


def test_timm_is_traced_around_what_it_declares_untraceable() -> None:
    model = build_model("timm/tf_efficientnet_lite0", num_classes=10).eval()
    with pytest.raises(torch.fx.proxy.TraceError):
        torch.fx.symbolic_trace(model)
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(trace(model).module(x), model(x))
