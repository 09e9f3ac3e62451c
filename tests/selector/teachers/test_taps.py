from __future__ import annotations

import re
from pathlib import Path

import pytest
from torch import nn

from selector.teachers.taps import RULES, Tap, default_taps, parse_taps
from selector.teachers.zoo import MODEL_FAMILIES, build_model
from shards.errors import UsageError


def test_parses_paths_and_layouts() -> None:
    assert parse_taps(["layer1", " features.3@nhwc "]) == (
        Tap("layer1"),
        Tap("features.3", "nhwc"),
    )
    assert [str(tap) for tap in parse_taps(["a", "b@nhwc"])] == ["a", "b@nhwc"]


@pytest.mark.parametrize("texts", [[], [""], ["a", "a"], ["a", ""]])
def test_refuses_senseless_lists(texts: list[str]) -> None:
    with pytest.raises(UsageError, match="expected different module paths"):
        parse_taps(texts)


@pytest.mark.parametrize("family", [name for name in MODEL_FAMILIES if name != "timm"])
def test_one_rule_covers_every_model_of_the_zoo(family: str) -> None:
    for variant in MODEL_FAMILIES[family].variants():
        name = f"{family}/{variant}"
        assert sum(bool(re.fullmatch(pattern, name)) for pattern, _ in RULES) == 1, name


def test_resnet34_has_its_four_layers() -> None:
    taps = default_taps("torchvision/resnet34", nn.Identity())
    assert [tap.path for tap in taps] == ["layer1", "layer2", "layer3", "layer4"]


def test_vgg_is_read_off_its_pools() -> None:
    model = build_model("torchvision/vgg11_bn", num_classes=10)
    paths = [tap.path for tap in default_taps("torchvision/vgg11_bn", model)]
    assert len(paths) == 5
    assert all(isinstance(model.get_submodule(path), nn.MaxPool2d) for path in paths)


def test_timm_says_itself_where_stages_end() -> None:
    model = build_model("timm/resnet18", num_classes=10)
    taps = default_taps("timm/resnet18.a1_in1k", model)
    assert [tap.path for tap in taps] == ["layer1", "layer2", "layer3", "layer4"]


def test_blocks_without_stages_are_quartered() -> None:
    model = nn.Module()
    model.feature_info = [{"module": f"blocks.{i}", "reduction": 16} for i in range(12)]
    model.output_fmt = "NHWC"
    assert default_taps("timm/it", model) == tuple(
        Tap(f"blocks.{i}", "nhwc") for i in (2, 5, 8, 11)
    )


def test_other_networks_are_told_to_name_their_modules() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
    with pytest.raises(UsageError, match=r"--taps 0,1,2 \(its top level: 0, 1, 2, 3\)"):
        default_taps("py:my.module:builder", model)
    with pytest.raises(UsageError, match="--taps"):
        default_taps("timm/new", nn.Module())


def test_a_model_in_a_file_has_outputs_only() -> None:
    with pytest.raises(UsageError, match=r"only the outputs can be read.*torchvision"):
        default_taps("file:model.onnx", nn.Identity())


def test_the_documents_list_every_rule() -> None:
    text = (Path(__file__).parents[3] / "docs" / "features.md").read_text()
    rows = {
        line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| `")
    }
    assert list(rows) == [f"`{pattern}`" for pattern, _ in RULES]
    for pattern, paths in RULES:
        listed = re.findall(r"`([^`]+)`", rows[f"`{pattern}`"].split("|")[2])
        assert callable(paths) or listed == paths.split()
