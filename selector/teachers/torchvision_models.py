"""torchvision/NAME: torchvision's classification models, each with its own weights' transform."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from torch import nn

from selector.teachers.preprocess import Preprocessing
from shards.errors import UsageError

# These two were trained elsewhere on another input range, and their released weights expect the
# network itself to convert from ImageNet's mean and standard deviation.
_CONVERTS_INPUT = ("googlenet", "inception_v3")


def _models() -> Any:
    # Imported when first asked for: it costs as much as torch itself, in every worker process.
    from torchvision import models

    return models


def variants() -> Sequence[str]:
    """Names of all classification models of the installed torchvision."""
    names: list[str] = _models().list_models(module=_models())
    return names


def build(variant: str, num_classes: int, in_channels: int) -> nn.Module:
    """The architecture with random weights.

    Raises:
        UsageError: in_channels other than 3.
    """
    if in_channels != 3:
        raise UsageError(
            f"torchvision/{variant} reads 3 channels, asked for {in_channels}; "
            f"timm/{variant} may exist and reads 1 or 3"
        )
    if variant in _CONVERTS_INPUT:
        return _models().get_model(
            variant, weights=None, num_classes=num_classes, transform_input=True, init_weights=False
        )
    return _models().get_model(variant, weights=None, num_classes=num_classes)


def preprocessing(variant: str, weights_name: str) -> Preprocessing:
    """The transform of the weights.

    Released weights of one model differ in it (ResNet-50 V1 resizes to 256, V2 to 232). They are
    told apart by file name, `resnet50-0676ba61` with any extension; under any other name the
    transform of torchvision's default weights holds.
    """
    entry = _released(variant, weights_name)
    transform = entry.transforms()
    return Preprocessing(
        channels=3,
        resize=transform.resize_size[0],
        resize_mode="short_side",
        crop=transform.crop_size[0],
        interpolation=transform.interpolation.value,
        mean=tuple(transform.mean),
        std=tuple(transform.std),
    )


def class_count(variant: str) -> int:
    """Classes of the released weights."""
    return len(_released(variant, "").meta["categories"])


def weights_hint(variant: str) -> str:
    """Where the released weights lie."""
    return _released(variant, "").url


def _released(variant: str, weights_name: str) -> Any:
    """The weights entry that `weights_name` is the file of, else the default one."""
    entries = _models().get_model_weights(variant)
    stem = PurePosixPath(weights_name).stem
    for entry in entries:
        if PurePosixPath(entry.url).stem == stem:
            return entry
    return entries.DEFAULT
