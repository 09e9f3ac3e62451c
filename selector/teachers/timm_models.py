"""timm/NAME: models of PyTorch Image Models, each with the transform of its pretrained_cfg."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType

from torch import nn

from selector.teachers.preprocess import Preprocessing
from shards.errors import UsageError


def variants() -> Sequence[str]:
    """Names of all models of the installed timm, without their weights' tags."""
    return _timm().list_models()


def build(variant: str, num_classes: int, in_channels: int) -> nn.Module:
    """The architecture with random weights; `variant` may carry a tag (`resnet50.a1_in1k`)."""
    timm = _timm()
    _check_known(timm, variant)
    return timm.create_model(
        variant, pretrained=False, num_classes=num_classes, in_chans=in_channels
    )


def preprocessing(variant: str, weights_name: str) -> Preprocessing:
    """What `timm.data.create_transform` does for evaluation with this pretrained_cfg.

    The tag of `variant` chooses the weights whose transform holds; a file name cannot.

    Raises:
        UsageError: timm's transform for this model has no counterpart here.
    """
    timm = _timm()
    _check_known(timm, variant)
    cfg = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(variant).to_dict())
    channels, height, width = cfg["input_size"]
    crop_mode = cfg["crop_mode"] or "center"
    if height != width or crop_mode not in ("center", "squash"):
        raise UsageError(
            f"timm/{variant} wants {height} x {width} pixels cropped by {crop_mode!r}; only square "
            "inputs by 'center' or 'squash' are supported: give `preprocessing` for the teacher"
        )
    return Preprocessing(
        channels=channels,
        resize=math.floor(height / cfg["crop_pct"]),
        resize_mode="squash" if crop_mode == "squash" else "short_side",
        crop=height,
        interpolation=cfg["interpolation"],
        mean=tuple(cfg["mean"]),
        std=tuple(cfg["std"]),
    )


def class_count(variant: str) -> int:
    """Classes of the released weights, 1000 where timm names none."""
    timm = _timm()
    _check_known(timm, variant)
    return timm.get_pretrained_cfg(variant).num_classes or 1000


def weights_hint(variant: str) -> str:
    """Where the released weights lie."""
    cfg = _timm().get_pretrained_cfg(variant)
    if cfg is not None and cfg.hf_hub_id:
        return f"https://huggingface.co/{cfg.hf_hub_id}/resolve/main/model.safetensors"
    return "a checkpoint of this model"


def _check_known(timm: ModuleType, variant: str) -> None:
    if not timm.is_model(variant) or timm.get_pretrained_cfg(variant) is None:
        raise UsageError(
            f"timm {timm.__version__} has no model {variant!r}; see timm.list_models()"
        )


def _timm() -> ModuleType:
    try:
        import timm
        import timm.data
    except ImportError as error:
        raise UsageError("timm/ teachers need timm: pip install 'coursepack[timm]'") from error
    return timm
