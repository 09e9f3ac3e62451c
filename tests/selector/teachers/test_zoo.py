from __future__ import annotations

import pytest
import torch

from selector.teachers.zoo import MODEL_FAMILIES, build_model, default_preprocessing, find_family
from shards.errors import UsageError

SMALL = ["he/resnet8", "he/resnet20", "cifar/resnet18", "lenet/5", "lenet/5-half"]


@pytest.mark.parametrize("name", SMALL)
def test_a_model_reads_what_its_preprocessing_makes(name: str) -> None:
    preprocessing = default_preprocessing(name)
    model = build_model(name, num_classes=7).eval()
    inputs = preprocessing.normalize(torch.zeros(2, *preprocessing.input_size, dtype=torch.uint8))
    assert model(inputs).shape == (2, 7)


def test_other_input_channels() -> None:
    model = build_model("he/resnet8", num_classes=10, in_channels=1).eval()
    assert model(torch.zeros(1, 1, 32, 32)).shape == (1, 10)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("resnet20", "no model is called 'resnet20'; expected he/..."),
        ("he", "no model is called 'he'"),
        ("keras/resnet50", "torchvision/..., timm/..., efficientnet-lite/..., file:PATH.pt2"),
        ("he/resnet21", "he has no model 'resnet21'; did you mean he/resnet"),
        ("torchvision/resnet35", "torchvision/resnet34"),
        ("lenet/6", "lenet/5"),
        ("efficientnet-lite/1", "efficientnet-lite/0"),
        ("torchvision/fcn_resnet50", "torchvision has no model"),
    ],
)
def test_unknown_names_are_told_with_near_ones(name: str, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        find_family(name)
    assert told in str(raised.value)


def test_no_classes_is_refused() -> None:
    with pytest.raises(UsageError, match="num_classes is 0"):
        build_model("he/resnet8", num_classes=0)


def test_the_families_are_those_of_the_documentation() -> None:
    assert list(MODEL_FAMILIES) == [
        "he",
        "cifar",
        "lenet",
        "torchvision",
        "timm",
        "efficientnet-lite",
    ]
    assert MODEL_FAMILIES["he"].variants() == [f"resnet{n}" for n in (8, 20, 32, 44, 56)]
