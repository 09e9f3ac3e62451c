"""Where the stages of a network end: the outputs whose averages are its stage features.

A tap is the path of a module, whose (last) output is read; the rules below name those of every
family of the zoo. Other networks get theirs from the user: `--taps layer1,layer2`.

Stages end where the resolution is about to change, from stride 4 on, plus the wide last layer
before the classifier where a network has one: ResNet-34 has 64 + 128 + 256 + 512 = 960 features.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from shards.errors import UsageError

Layout = Literal["nchw", "nhwc"]

_NHWC = "@nhwc"
_DEEP = 6


@dataclass(frozen=True)
class Tap:
    """One stage output.

    Attributes:
        path: of the module in its network, such as `layer1` or `features.3`; else the name of a
            node of the traced graph, such as `relu_2`.
        layout: where the channels of a 4-d output stand. Outputs with three dimensions are tokens
            (N, tokens, channels), those with two are taken as they are.
    """

    path: str
    layout: Layout = "nchw"

    def __str__(self) -> str:
        return self.path + (_NHWC if self.layout == "nhwc" else "")


def parse_taps(texts: Sequence[str]) -> tuple[Tap, ...]:
    """Taps as a user writes them: paths, each with `@nhwc` behind it where channels come last.

    Raises:
        UsageError: no tap, an empty one, or one given twice.
    """
    taps = tuple(
        Tap(text.removesuffix(_NHWC), "nhwc" if text.endswith(_NHWC) else "nchw")
        for text in (text.strip() for text in texts)
    )
    paths = [tap.path for tap in taps]
    if not taps or not all(paths) or len(set(paths)) != len(paths):
        raise UsageError(
            f"taps {list(texts)}: expected different module paths, such as layer1,layer2"
        )
    return taps


def default_taps(name: str, module: nn.Module, *, option: str = "--taps") -> tuple[Tap, ...]:
    """The stage ends of a teacher of the zoo.

    Args:
        name: of the teacher, `family/variant`.
        module: the network itself; timm's say where their stages end.
        option: where the user names taps, for messages.

    Raises:
        UsageError: a network that no rule covers; says how to give taps.
    """
    family = name.partition("/")[0]
    if family == "timm":
        return _timm_taps(name, module, option)
    for pattern, paths in RULES:
        if re.fullmatch(pattern, name):
            if callable(paths):
                return parse_taps(paths(module))
            return parse_taps(paths.split())
    if name.startswith("file:"):
        raise UsageError(
            f"{name}: of a model in a file only the outputs can be read, so it gives no features; "
            "name the same network as torchvision/..., timm/... or py:package.module:builder with "
            "its weights"
        )
    raise UsageError(_unknown(name, module, option))


def _last_pools(module: nn.Module) -> list[str]:
    """VGG: the five max-poolings."""
    features: Any = module.get_submodule("features")
    return [f"features.{i}" for i, one in enumerate(features) if isinstance(one, nn.MaxPool2d)]


def _encoder_quarters(module: nn.Module) -> list[str]:
    """Vision transformers have no stages: the ends of the four quarters of their blocks."""
    depth = len(list(module.get_submodule("encoder.layers").children()))
    return [f"encoder.layers.encoder_layer_{depth * k // 4 - 1}" for k in (1, 2, 3, 4)]


RULES: list[tuple[str, Any]] = [
    (r"he/resnet\d+", "layer1 layer2 layer3"),
    (r"cifar/resnet\d+", "layer1 layer2 layer3 layer4"),
    (r"lenet/.*", "pool1 pool2 relu3 relu4"),
    (r"efficientnet-lite/0", "_blocks.2 _blocks.4 _blocks.10 _blocks.15 _swish"),
    (r"efficientnet-lite/2", "_blocks.3 _blocks.6 _blocks.14 _blocks.20 _swish"),
    (r"torchvision/(wide_)?resne(x)?t\d+.*", "layer1 layer2 layer3 layer4"),
    (r"torchvision/alexnet", "features.2 features.5 features.12"),
    (r"torchvision/vgg\d+(_bn)?", _last_pools),
    (r"torchvision/convnext_.*", "features.1 features.3 features.5 features.7"),
    (
        r"torchvision/densenet\d+",
        # The last block's output is normalised and rectified before it is averaged.
        "features.transition1 features.transition2 features.transition3 relu",
    ),
    (r"torchvision/efficientnet_b\d", "features.2 features.3 features.5 features.7 features.8"),
    (r"torchvision/efficientnet_v2_s", "features.2 features.3 features.5 features.6 features.7"),
    (r"torchvision/efficientnet_v2_[ml]", "features.2 features.3 features.5 features.7 features.8"),
    (r"torchvision/googlenet", "maxpool2 maxpool3 maxpool4 inception5b"),
    (r"torchvision/inception_v3", "maxpool2 Mixed_5d Mixed_6e Mixed_7c"),
    (r"torchvision/maxvit_t", "blocks.0 blocks.1 blocks.2 blocks.3"),
    (r"torchvision/mnasnet\d_\d+", "layers.8 layers.9 layers.11 layers.13 layers.16"),
    (r"torchvision/mobilenet_v2", "features.3 features.6 features.13 features.17 features.18"),
    (
        r"torchvision/mobilenet_v3_large",
        "features.3 features.6 features.12 features.15 features.16",
    ),
    (r"torchvision/mobilenet_v3_small", "features.1 features.3 features.8 features.11 features.12"),
    (
        r"torchvision/regnet_.*",
        "trunk_output.block1 trunk_output.block2 trunk_output.block3 trunk_output.block4",
    ),
    (r"torchvision/shufflenet_v2_.*", "stage2 stage3 stage4 conv5"),
    (r"torchvision/squeezenet1_0", "features.2 features.6 features.11 features.12"),
    (r"torchvision/squeezenet1_1", "features.2 features.5 features.8 features.12"),
    (
        r"torchvision/swin_.*",
        "features.1@nhwc features.3@nhwc features.5@nhwc features.7@nhwc",
    ),
    (r"torchvision/vit_.*", _encoder_quarters),
]
"""Pattern of a teacher's name -> its taps, or a function that reads them off the network."""


def _timm_taps(name: str, module: nn.Module, option: str) -> tuple[Tap, ...]:
    """From the list that timm's models carry: what they return as a feature pyramid.

    Stems (stride below 4) are left out where enough remains; of a list of blocks without stages
    every quarter's last is taken.
    """
    known: Any = getattr(module, "feature_info", None)
    entries: list[Any] = list(getattr(known, "info", known) or [])
    deep = [entry for entry in entries if entry.get("reduction", 4) >= 4]
    entries = deep if len(deep) > 1 else entries
    if len(entries) > _DEEP:
        entries = [entries[len(entries) * k // 4 - 1] for k in (1, 2, 3, 4)]
    paths = [str(entry.get("module", "")) for entry in entries]
    if not paths or len(set(paths)) != len(paths):
        raise UsageError(_unknown(name, module, option))
    layout: Layout = "nhwc" if getattr(module, "output_fmt", "") == "NHWC" else "nchw"
    return tuple(Tap(path, layout) for path in paths)


def _unknown(name: str, module: nn.Module, option: str) -> str:
    children = [path for path, _ in module.named_children()]
    example = f"{option} {','.join(children[-4:-1] or children)}"
    return (
        f"coursepack does not know where the stages of {name} end; name the modules whose outputs "
        f"are its features with {option}, for example {example} "
        f"(its top level: {', '.join(children[:12])})"
    )
