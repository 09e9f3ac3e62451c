from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selector.teachers.stage_maps import (
    MappedNetwork,
    map_of_channels_first,
    map_of_channels_last,
    with_stage_maps,
)
from selector.teachers.tapped_graph import TapPurpose
from selector.teachers.taps import Tap, default_taps, parse_taps
from shards.errors import UsageError
from tests.support.models import tiny_model

PURPOSE = TapPurpose(option="hints.teacher_taps", way_out="leave hints out")
NAMES = ["he/resnet8", "lenet/5", "torchvision/mobilenet_v3_small"]


def mapped(
    model: nn.Module, taps: tuple[Tap, ...], x: Tensor, *, for_training: bool
) -> MappedNetwork:
    return with_stage_maps(
        model, taps, example=x, name="it", purpose=PURPOSE, for_training=for_training
    )


def hooked(model: nn.Module, taps: tuple[Tap, ...], x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits, and the outputs as hooks see them before anything overwrites them."""
    found: dict[str, Tensor] = {}
    modules = dict(model.named_modules())
    hooks = [
        modules[tap.path].register_forward_hook(
            lambda _m, _i, out, path=tap.path: found.update({path: out.clone()})
        )
        for tap in taps
    ]
    logits = model(x)
    for hook in hooks:
        hook.remove()
    return logits, found


@pytest.mark.parametrize("for_training", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_maps_are_the_outputs_of_the_stages(name: str, for_training: bool) -> None:
    torch.manual_seed(0)
    model = tiny_model(name).train(for_training)
    x = torch.rand(4, 1 if name.startswith("lenet") else 3, 32, 32)
    taps = default_taps(name, model)
    statistics = [buffer.clone() for buffer in model.buffers()]
    network = mapped(model, taps, x, for_training=for_training)
    assert all(map(torch.equal, model.buffers(), statistics))
    reference = copy.deepcopy(model)
    torch.manual_seed(1)  # dropout, stochastic depth
    logits, maps = network.module(x)
    torch.manual_seed(1)
    expected_logits, expected = hooked(reference, taps, x)
    torch.testing.assert_close(logits, expected_logits, rtol=1e-3, atol=1e-4)
    assert network.names == tuple(tap.path for tap in taps)
    for tap, one, shape in zip(taps, maps, network.shapes, strict=True):
        output = expected[tap.path]
        output = output if output.ndim == 4 else output[:, :, None, None]
        assert tuple(one.shape) == (4, *shape)
        atol = 1e-4 * float(output.detach().abs().max())
        torch.testing.assert_close(one, output, rtol=1e-3, atol=atol)


def test_for_training_shares_parameters_statistics_and_mode() -> None:
    model = tiny_model("he/resnet8").train()
    x = torch.rand(4, 3, 32, 32)
    twin = copy.deepcopy(model)
    network = mapped(model, parse_taps(["layer2"]), x, for_training=True)
    own = {id(parameter) for parameter in model.parameters()}
    assert {id(parameter) for parameter in network.module.parameters()} == own
    logits, _ = network.module(x)
    assert torch.equal(logits, twin(x))  # the same bits, and the same step of the statistics
    assert all(map(torch.equal, model.buffers(), twin.buffers()))
    model.eval()
    assert torch.equal(network.module(x)[0], model(x))


class Overwritten(nn.Module):
    """Outputs that are overwritten right behind their taps, in every way that is looked for."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)
        self.c, self.d = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.a(x))
        x = F.relu(self.b(x), inplace=True)
        x = self.c(x)
        x += 1.0
        return self.d(x).add_(1.0).mean(dim=(2, 3))


@pytest.mark.parametrize("for_training", [False, True])
def test_a_map_is_what_the_module_gave(for_training: bool) -> None:
    torch.manual_seed(0)
    model, x = Overwritten().eval(), torch.randn(2, 3, 5, 5)
    taps = parse_taps(["a", "b", "c", "d"])
    network = mapped(model, taps, x, for_training=for_training)
    logits, maps = network.module(x)
    expected_logits, expected = hooked(model, taps, x)
    assert torch.equal(logits, expected_logits)
    for tap, one in zip(taps, maps, strict=True):
        assert torch.equal(one, expected[tap.path])
    logits.sum().backward()


def test_channels_that_come_last_are_turned() -> None:
    x = torch.rand(2, 3, 5, 4)
    turned = map_of_channels_last(x, copied=False)
    assert torch.equal(turned, x.permute(0, 3, 1, 2))
    assert turned.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    assert map_of_channels_last(x, copied=True).data_ptr() != x.data_ptr()


def test_tokens_become_the_grid_that_they_were_cut_from() -> None:
    grid = torch.rand(2, 3, 4, 4)
    tokens = grid.flatten(2).transpose(1, 2)
    assert torch.equal(map_of_channels_first(tokens, copied=False), grid)
    with_class = torch.cat([torch.zeros(2, 1, 3), tokens], dim=1)
    assert torch.equal(map_of_channels_first(with_class, copied=False), grid)
    with pytest.raises(ValueError, match="15 tokens are no square grid"):
        map_of_channels_first(tokens[:, 1:], copied=False)


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cut = nn.Sequential(nn.Conv2d(3, 7, 2, 2), nn.Flatten(2))
        self.flat = nn.Flatten(0)

    def forward(self, x: Tensor) -> Tensor:
        return self.cut(x).mean(dim=2) + self.flat(x).mean()


@pytest.mark.parametrize(
    ("tap", "message"),
    [
        ("cut", r"cut are not all maps of features \(7 tokens are no square grid.*other hints\."),
        ("flat", r"flat are not all maps of features \(an output of 1 dimensions is no map"),
        ("gone", r"no module 'gone'.*it has cut.*choose hints\.teacher_taps"),
    ],
)
def test_taps_that_are_no_maps_are_told(tap: str, message: str) -> None:
    model, x = Odd().eval(), torch.rand(2, 3, 4, 4)
    with pytest.raises(UsageError, match=message):
        mapped(model, parse_taps([tap]), x, for_training=True)
