from __future__ import annotations

import pytest
import torch

from selector.teachers.cifar_resnet import CifarResNet


@pytest.mark.parametrize(("depth", "parameters"), [(18, 11_173_962), (34, 21_282_122)])
def test_parameters_and_shape(depth: int, parameters: int) -> None:
    model = CifarResNet(depth, num_classes=10, in_channels=3).eval()
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_the_stem_keeps_the_resolution() -> None:
    model = CifarResNet(18, num_classes=10, in_channels=3).eval()
    sizes = []
    model.layer4.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape))
    model(torch.zeros(1, 3, 32, 32))
    assert sizes == [(1, 512, 4, 4)]
    assert {"layer2.0.shortcut.0.weight", "linear.bias"} <= set(model.state_dict())
