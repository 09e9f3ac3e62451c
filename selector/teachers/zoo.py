"""The architectures that coursepack knows by name, `family/variant`, for teachers and students.

MODEL_FAMILIES is the list; a new family is one more entry.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from selector.teachers import (
    cifar_resnet,
    efficientnet_lite,
    he_resnet,
    lenet,
    timm_models,
    torchvision_models,
)
from selector.teachers.preprocess import Preprocessing
from shards.errors import UsageError


@dataclass(frozen=True)
class Family:
    """One family of architectures.

    Attributes:
        variants: names behind the slash; empty where only the library itself can tell.
        build: (variant, num_classes, in_channels) -> network with random weights.
        preprocessing: (variant, weights file name) -> stock transform of those weights.
        class_count: variant -> classes where nothing else says how many.
        in_channels: channels of the stock input.
        packaged_weights: variant -> path of weights that an installed package carries.
        weights_hint: variant -> where weights may be had, for messages.
    """

    variants: Callable[[], Sequence[str]]
    build: Callable[[str, int, int], nn.Module]
    preprocessing: Callable[[str, str], Preprocessing]
    class_count: Callable[[str], int]
    in_channels: int = 3
    packaged_weights: Callable[[str], str] | None = None
    weights_hint: Callable[[str], str] = lambda variant: "your trained weights"


def _he_preprocessing(variant: str, weights_name: str) -> Preprocessing:
    # Squashed to 32 x 32 and normalised with ImageNet's statistics: what the published weights of
    # this family were trained with.
    return Preprocessing(
        channels=3,
        resize=32,
        resize_mode="squash",
        crop=32,
        interpolation="bilinear",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )


def _cifar_preprocessing(variant: str, weights_name: str) -> Preprocessing:
    # CIFAR's own statistics; wild images keep their aspect ratio.
    return Preprocessing(
        channels=3,
        resize=32,
        resize_mode="short_side",
        crop=32,
        interpolation="bilinear",
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2023, 0.1994, 0.2010),
    )


def _lenet_preprocessing(variant: str, weights_name: str) -> Preprocessing:
    # MNIST's statistics; a tall letter is squashed, for a crop would cut it.
    return Preprocessing(
        channels=1,
        resize=32,
        resize_mode="squash",
        crop=32,
        interpolation="bilinear",
        mean=(0.1307,),
        std=(0.3081,),
    )


MODEL_FAMILIES: dict[str, Family] = {
    "he": Family(
        variants=lambda: [f"resnet{depth}" for depth in he_resnet.DEPTHS],
        build=lambda variant, num_classes, in_channels: he_resnet.HeResNet(
            int(variant.removeprefix("resnet")), num_classes=num_classes, in_channels=in_channels
        ),
        preprocessing=_he_preprocessing,
        class_count=lambda variant: 10,
    ),
    "cifar": Family(
        variants=lambda: [f"resnet{depth}" for depth in cifar_resnet.BLOCKS],
        build=lambda variant, num_classes, in_channels: cifar_resnet.CifarResNet(
            int(variant.removeprefix("resnet")), num_classes=num_classes, in_channels=in_channels
        ),
        preprocessing=_cifar_preprocessing,
        class_count=lambda variant: 10,
    ),
    "lenet": Family(
        variants=lambda: list(lenet.WIDTHS),
        build=lambda variant, num_classes, in_channels: lenet.LeNet(
            lenet.WIDTHS[variant], num_classes=num_classes, in_channels=in_channels
        ),
        preprocessing=_lenet_preprocessing,
        class_count=lambda variant: 10,
        in_channels=1,
    ),
    "torchvision": Family(
        variants=torchvision_models.variants,
        build=torchvision_models.build,
        preprocessing=torchvision_models.preprocessing,
        class_count=torchvision_models.class_count,
        weights_hint=torchvision_models.weights_hint,
    ),
    "timm": Family(
        variants=list,  # timm checks names itself: they may carry a tag
        build=timm_models.build,
        preprocessing=timm_models.preprocessing,
        class_count=timm_models.class_count,
        weights_hint=timm_models.weights_hint,
    ),
    "efficientnet-lite": Family(
        variants=efficientnet_lite.variants,
        build=efficientnet_lite.build,
        preprocessing=efficientnet_lite.preprocessing,
        class_count=lambda variant: 1000,
        packaged_weights=efficientnet_lite.packaged_weights,
    ),
}
"""Every family by the name before the slash."""


def find_family(name: str) -> tuple[Family, str]:
    """The family of `family/variant`, and the variant.

    Raises:
        UsageError: no such family or variant; the message lists or suggests names.
    """
    family_name, _, variant = name.partition("/")
    family = MODEL_FAMILIES.get(family_name)
    if family is None or not variant:
        known = ", ".join(f"{known}/..." for known in MODEL_FAMILIES)
        raise UsageError(
            f"no model is called {name!r}; expected {known}, file:PATH.pt2, file:PATH.onnx "
            "or py:package.module:builder"
        )
    names = family.variants()
    if names and variant not in names:
        near = difflib.get_close_matches(variant, names, n=5, cutoff=0.4) or names[:5]
        raise UsageError(
            f"{family_name} has no model {variant!r}; did you mean "
            f"{', '.join(f'{family_name}/{other}' for other in near)}?"
        )
    return family, variant


def build_model(name: str, *, num_classes: int, in_channels: int | None = None) -> nn.Module:
    """A network with random weights: (N, in_channels, S, S) normalised floats -> (N, num_classes).

    Args:
        name: `family/variant`, for example "he/resnet20" or "torchvision/resnet34".
        num_classes: C >= 1.
        in_channels: None = the family's own (1 for lenet, 3 for all others).

    Raises:
        UsageError: no such model, a package it needs is missing, or it cannot have these sizes.
    """
    if num_classes < 1:
        raise UsageError(f"{name}: num_classes is {num_classes}; expected at least 1")
    family, variant = find_family(name)
    return family.build(variant, num_classes, in_channels or family.in_channels)


def default_preprocessing(name: str, *, weights_name: str = "") -> Preprocessing:
    """The stock transform of `family/variant`.

    Args:
        weights_name: file name of the weights; some torchvision models have several releases with
            different transforms.

    Raises:
        UsageError: no such model, or its transform cannot be expressed.
    """
    family, variant = find_family(name)
    return family.preprocessing(variant, weights_name)
