from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selector.teachers.inference_graph import for_inference
from selector.teachers.stage_features import with_stage_features
from selector.teachers.taps import Tap, default_taps, parse_taps
from shards.errors import UsageError
from tests.support.models import tiny_model

TORCHVISION = [
    "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "mnasnet0_5",
    "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1",
    "swin_t",
]  # fmt: skip
NAMES = [
    "he/resnet8", "cifar/resnet18", "lenet/5", *(f"torchvision/{name}" for name in TORCHVISION),
    "timm/mobilenetv3_small_050", "timm/tf_efficientnet_lite0", "timm/mobilevit_xxs",
]  # fmt: skip


def hooked(model: nn.Module, taps: tuple[Tap, ...], x: Tensor) -> dict[str, Tensor]:
    """The averages of module outputs as hooks see them; a later call replaces an earlier one."""
    found: dict[str, Tensor] = {}

    def average(tap: Tap, output: Tensor) -> None:
        over = (1, 2) if tap.layout == "nhwc" else (2, 3)
        found[tap.path] = output.mean(dim=over) if output.ndim == 4 else output.clone()

    modules = dict(model.named_modules())
    hooks = [
        modules[tap.path].register_forward_hook(lambda _m, _i, out, tap=tap: average(tap, out))
        for tap in taps
        if tap.path in modules
    ]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("name", NAMES)
def test_features_are_the_averaged_stages_and_logits_stay_the_same_bits(name: str) -> None:
    model = tiny_model(name).requires_grad_(False)
    side = 64 if name.startswith(("torchvision", "timm")) else 32
    x = torch.rand(2, 1 if name.startswith("lenet") else 3, side, side)
    taps = default_taps(name, model)
    staged = with_stage_features(model, taps, example=x, name=name)
    with torch.no_grad():
        logits, features = staged.module(x)
        assert torch.equal(logits, for_inference(model)(x))
    assert features.shape == (2, staged.dim)
    assert [stage.name for stage in staged.stages] == [tap.path for tap in taps]
    expected = hooked(model.double(), taps, x.double())
    assert len(expected) >= len(taps) - 1  # densenet's last tap is a function
    begin = 0
    for stage in staged.stages:
        end = begin + stage.dim
        if stage.name in expected:
            reference = expected[stage.name]
            assert stage.dim == reference.shape[1]
            scale = float(reference.abs().max())
            assert torch.allclose(
                features[:, begin:end].double(), reference, rtol=1e-3, atol=1e-4 * scale
            )
        begin = end


def test_resnet34_has_960_features() -> None:
    model = tiny_model("torchvision/resnet34")
    x = torch.rand(2, 3, 32, 32)
    taps = default_taps("torchvision/resnet34", model)
    staged = with_stage_features(model, taps, example=x, name="it")
    assert [stage.dim for stage in staged.stages] == [64, 128, 256, 512]
    assert staged.dim == 960


class Overwritten(nn.Module):
    """Taps whose outputs are overwritten right behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.shift = nn.Identity()
        self.relu = nn.ReLU(inplace=True)
        self.linear = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.shift(self.conv(x) - 0.1)
        x = F.relu(self.relu(x), inplace=True)
        return self.linear(x.mean((2, 3)))


def test_a_stage_is_read_before_it_is_overwritten() -> None:
    torch.manual_seed(0)
    model = Overwritten().eval().requires_grad_(False)
    x = torch.randn(2, 3, 8, 8)
    kept = x.clone()
    staged = with_stage_features(model, parse_taps(["conv", "shift"]), example=x, name="it")
    logits, features = staged.module(x)
    assert torch.equal(logits, for_inference(model)(x))
    convolved = model.conv(x)
    assert torch.allclose(features[:, :4], convolved.mean((2, 3)))
    assert torch.allclose(features[:, 4:], (convolved - 0.1).mean((2, 3)))
    assert torch.equal(x, kept)


class Tokens(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        tokens = self.tokens(x)
        return self.linear(self.vector(tokens[:, 0]))

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Sequential(nn.Conv2d(3, 6, 4, 4), nn.Flatten(2), Swap())
        self.vector = nn.Linear(6, 6)
        self.linear = nn.Linear(6, 5)


class Swap(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


def test_tokens_are_averaged_and_vectors_taken() -> None:
    model = Tokens().eval().requires_grad_(False)
    x = torch.randn(2, 3, 8, 8)
    staged = with_stage_features(model, parse_taps(["tokens", "vector"]), example=x, name="it")
    tokens = model.tokens(x)
    expected = torch.cat([tokens.mean(1), model.vector(tokens[:, 0])], 1)
    assert torch.allclose(staged.module(x)[1], expected)


def test_nodes_of_the_graph_may_be_tapped_by_name() -> None:
    model = tiny_model("he/resnet8")
    x = torch.rand(2, 3, 32, 32)
    staged = with_stage_features(model, parse_taps(["relu"]), example=x, name="it")
    reference = F.relu(model.bn1(model.conv1(x))).mean((2, 3))
    assert torch.allclose(staged.module(x)[1], reference, atol=1e-5)


def test_refusals_say_what_to_do() -> None:
    model = tiny_model("he/resnet8")
    x = torch.rand(2, 3, 32, 32)

    def build(*taps: str) -> None:
        with_stage_features(model, parse_taps(taps), example=x, name="he/resnet8")

    with pytest.raises(UsageError, match=r"no module 'layer9'.*layer1.*choose --taps"):
        build("layer9")
    with pytest.raises(UsageError, match=r"merged with the batch norm bn1 .* tap bn1 instead"):
        build("conv1")
    build("bn1")


class DataDependent(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))


class Windows(nn.Module):
    """An inner module that sees pieces of images as rows of its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.permute(0, 2, 3, 1).flatten(0, 2)).view(2, -1, 3).mean(1)


def test_what_has_no_graph_or_no_row_per_image_is_refused() -> None:
    x = torch.rand(2, 3, 8, 8)
    with pytest.raises(UsageError, match="its graph cannot be read"):
        with_stage_features(DataDependent().eval(), (Tap("it"),), example=x, name="it")
    with pytest.raises(UsageError, match="expected one vector per image"):
        with_stage_features(Windows().eval(), (Tap("inner"),), example=x, name="it")


def test_the_result_compiles_to_one_graph_and_exports() -> None:
    model = tiny_model("he/resnet8").requires_grad_(False)
    x = torch.rand(2, 3, 32, 32)
    taps = default_taps("he/resnet8", model)
    staged = with_stage_features(model, taps, example=x, name="it")
    compiled = torch.compile(staged.module, backend="eager", fullgraph=True)
    exported = torch.export.export(staged.module, (x,)).module()
    expected = staged.module(x)
    for other in (compiled, exported):
        for found, wanted in zip(other(x), expected, strict=True):
            assert torch.allclose(found, wanted, atol=1e-5)
