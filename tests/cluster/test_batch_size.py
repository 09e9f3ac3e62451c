from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.batch_size import default_batch_size
from selector.teachers.preprocess import Preprocessing
from selector.teachers.zoo import default_preprocessing


def square(side: int) -> Preprocessing:
    return replace(default_preprocessing("torchvision/resnet18"), resize=side, crop=side)


@pytest.mark.parametrize(
    ("side", "on_cpu", "on_gpu"),
    [(28, 64, 2048), (64, 64, 2048), (96, 32, 2048), (224, 8, 256), (384, 4, 128), (2048, 4, 64)],
)
def test_a_batch_holds_so_many_pixels(side: int, on_cpu: int, on_gpu: int) -> None:
    preprocessing = square(side)
    assert preprocessing.input_size == (3, side, side)
    assert default_batch_size(preprocessing, "cpu") == on_cpu
    assert default_batch_size(preprocessing, "cuda") == on_gpu
