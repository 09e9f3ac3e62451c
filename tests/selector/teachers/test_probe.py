from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from selector.teachers.probe import probe_num_classes
from selector.teachers.zoo import default_preprocessing
from shards.errors import UsageError
from tests.support.models import tiny_model


class Answers(nn.Module):
    """Answers with whatever the function makes of the input."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def probe(module: nn.Module, name: str = "lenet/5") -> int:
    return probe_num_classes(module, default_preprocessing(name), name="it", device="cpu")


def test_counts_the_classes() -> None:
    assert probe(tiny_model(num_classes=7)) == 7


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda x: x, "answers 3 images with a tensor of shape (3, 1, 32, 32)"),
        (lambda x: x.flatten(1).mean(1), "expected logits (3, C) with C >= 2"),
        (lambda x: x.flatten(1).mean(1, keepdim=True), "of shape (3, 1)"),
        (lambda x: x.flatten(1)[:2, :5], "of shape (2, 5)"),
        (lambda x: (x, x), "answers with tuple"),
        (lambda x: {"logits": x}, "answers with dict"),
        (lambda x: x.flatten(1)[:, :5] * torch.nan, "NaN or infinity"),
        (lambda x: x.flatten(1)[:, :5].softmax(1), "answers with probabilities"),
    ],
)
def test_other_answers_are_refused(function: Callable[[Tensor], Any], told: str) -> None:
    with pytest.raises(UsageError) as raised:
        probe(Answers(function))
    assert told in str(raised.value)


def test_a_network_for_other_input_is_told_with_the_shape_it_got() -> None:
    with pytest.raises(UsageError, match=r"fails on input of shape \(3, 3, 32, 32\)"):
        probe(tiny_model("lenet/5"), "he/resnet20")
