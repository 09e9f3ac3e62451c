from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from selector.teachers.inference_graph import for_inference
from tests.support.models import tiny_model


@pytest.mark.parametrize(
    "name", ["he/resnet8", "cifar/resnet18", "lenet/5", "torchvision/resnet18"]
)
def test_answers_like_the_original_but_for_rounding(name: str) -> None:
    model = tiny_model(name)
    kept = {n: t.clone() for n, t in model.state_dict().items()}
    rewritten = for_inference(model)
    x = torch.rand(2, 1 if name.startswith("lenet") else 3, 32, 32)
    expected = model(x).detach()
    assert torch.allclose(
        rewritten(x), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max())
    )
    assert torch.equal(rewritten(x), rewritten(x))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in rewritten.modules())
    assert all(torch.equal(kept[n], t) for n, t in model.state_dict().items())


class Awkward(nn.Module):
    """Everything that must not be folded or overwritten."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Conv2d(3, 3, 3, padding=1)
        self.twice = nn.BatchNorm2d(3)
        self.read_twice = nn.Conv2d(3, 3, 1)
        self.after = nn.BatchNorm2d(3)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        first = self.twice(self.shared(x))
        second = self.twice(self.shared(first))
        conv = self.read_twice(second)
        normed = self.after(conv)
        total = conv + normed
        view = total.flatten(2)
        return torch.cat([self.relu(view), view, torch.relu(x).flatten(2)]).mean(2)


def test_leaves_alone_what_others_still_read() -> None:
    torch.manual_seed(0)
    model = Awkward().eval()
    model.twice.running_mean.fill_(0.3)
    model.after.running_var.fill_(2.0)
    x = torch.randn(2, 3, 8, 8)
    kept = x.clone()
    rewritten = for_inference(model)
    assert torch.allclose(rewritten(x), model(x), atol=1e-6)
    assert torch.equal(x, kept)


class Untraceable(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))


def test_what_cannot_be_traced_comes_back_as_it_is() -> None:
    model = Untraceable().eval()
    assert for_inference(model) is model
