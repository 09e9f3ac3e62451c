from __future__ import annotations

import pytest
import torch

from selector.teachers.torchvision_models import build, preprocessing, variants, weights_hint
from shards.errors import UsageError


@pytest.mark.parametrize(
    ("weights_name", "resize"),
    [
        ("resnet50-0676ba61.pth", 256),  # IMAGENET1K_V1
        ("resnet50-11ad3fa6.pth", 232),  # IMAGENET1K_V2
        ("resnet50-0676ba61.safetensors", 256),
        ("mine.safetensors", 232),  # unknown: the default weights' transform
    ],
)
def test_the_file_name_tells_which_release(weights_name: str, resize: int) -> None:
    assert preprocessing("resnet50", weights_name).resize == resize


def test_every_classification_model_has_a_transform() -> None:
    for variant in variants():
        ours = preprocessing(variant, "")
        assert ours.crop <= 600
        assert weights_hint(variant).startswith("https://")


def test_builds_with_any_number_of_classes() -> None:
    model = build("squeezenet1_1", 5, 3).eval()
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 5)


def test_models_of_other_input_ranges_convert_it_themselves() -> None:
    assert build("googlenet", 10, 3).transform_input is True


def test_grey_is_refused() -> None:
    with pytest.raises(UsageError, match="reads 3 channels, asked for 1"):
        build("resnet18", 10, 1)
