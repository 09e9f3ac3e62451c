from __future__ import annotations

import pytest
import torch

from shards.errors import UsageError

pytest.importorskip("timm", reason="timm is not installed")

from selector.teachers.timm_models import (
    build,
    class_count,
    preprocessing,
    variants,
    weights_hint,
)


def test_builds_with_channels_and_classes() -> None:
    model = build("mobilenetv3_small_050", 5, 1).eval()
    assert model(torch.zeros(1, 1, 64, 64)).shape == (1, 5)


def test_the_tag_chooses_the_transform() -> None:
    assert preprocessing("resnet50.a1_in1k", "").resize == 235
    assert preprocessing("resnet50.tv_in1k", "").resize == 256
    assert class_count("resnet50.a1_in1k") == 1000
    assert weights_hint("resnet50.a1_in1k").endswith(
        "timm/resnet50.a1_in1k/resolve/main/model.safetensors"
    )


def test_unknown_models_are_refused() -> None:
    with pytest.raises(UsageError, match="has no model 'resnet50x'"):
        preprocessing("resnet50x", "")
    with pytest.raises(UsageError, match="has no model 'hf-hub:someone/model'"):
        build("hf-hub:someone/model", 10, 3)


def test_a_transform_without_counterpart_is_refused() -> None:
    with pytest.raises(UsageError, match="give `preprocessing`"):
        preprocessing("vit_base_patch16_sapiens2", "")


def test_lists_models() -> None:
    assert "resnet50" in variants()
