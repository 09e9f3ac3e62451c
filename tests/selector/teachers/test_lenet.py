from __future__ import annotations

import pytest
import torch

from selector.teachers.lenet import WIDTHS, LeNet


@pytest.mark.parametrize(("variant", "parameters"), [("5", 61_706), ("5-half", 15_738)])
def test_parameters_and_shape(variant: str, parameters: int) -> None:
    model = LeNet(WIDTHS[variant], num_classes=10, in_channels=1)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert model(torch.zeros(3, 1, 32, 32)).shape == (3, 10)
