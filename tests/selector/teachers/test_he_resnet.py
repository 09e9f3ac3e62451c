from __future__ import annotations

import pytest
import torch
from torch import nn

from selector.teachers.he_resnet import DEPTHS, BasicBlock, HeResNet


@pytest.mark.parametrize(
    # Parameters as published for the parameter-free shortcuts (0.27, 0.46, 0.66, 0.85 M).
    ("depth", "parameters"),
    [(8, 75_290), (20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018)],
)
def test_layers_and_parameters(depth: int, parameters: int) -> None:
    model = HeResNet(depth, num_classes=10, in_channels=3)
    weighted = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert depth in DEPTHS
    assert len(weighted) == depth
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert model.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_names_are_those_of_published_weights() -> None:
    names = set(HeResNet(20, num_classes=10, in_channels=3).state_dict())
    assert {"conv1.weight", "layer1.2.bn2.running_var", "layer3.0.conv1.weight"} <= names
    assert {"linear.weight", "linear.bias"} <= names
    assert not any("shortcut" in name or "downsample" in name for name in names)


def test_the_shortcut_takes_every_second_pixel_and_pads_channels_on_both_sides() -> None:
    block = BasicBlock(4, 8, stride=2).eval()
    nn.init.zeros_(block.bn2.weight)  # silences the residual: only the shortcut is left
    x = torch.rand(1, 4, 6, 6)
    y = block(x)
    assert torch.equal(y[:, 2:6], x[:, :, ::2, ::2])
    assert y[:, :2].abs().sum() == y[:, 6:].abs().sum() == 0


def test_grey_input_and_other_class_counts() -> None:
    model = HeResNet(8, num_classes=7, in_channels=1).eval()
    assert model(torch.zeros(1, 1, 28, 28)).shape == (1, 7)
