from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from selector.scores.hashes import phash
from selector.scoring.decode_job import thumbnails
from selector.scoring.list_decoder import TorchvisionDecoder
from selector.teachers.preprocess import Preprocessing
from selector.teachers.zoo import default_preprocessing
from shards.decode import decode
from tests.support import images

RESNET = replace(default_preprocessing("torchvision/resnet18"), decode="fast")
SIZES = [(300, 400), (260, 200), (225, 225), (180, 500)]
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
        ],
    ),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "preprocessing",
    [
        RESNET,
        replace(RESNET, interpolation="bicubic", resize_mode="center_fraction"),
        replace(RESNET, resize_mode="squash", resize=(230, 210)),
        replace(RESNET, resize_mode="none", resize=None),
        replace(RESNET, channels=1, mean=(0.5,), std=(0.5,)),
    ],
)
def test_inputs_and_thumbnails_are_nearly_those_of_the_threads(
    preprocessing: Preprocessing, device: str
) -> None:
    data = [images.jpeg(images.picture(*size, seed=n)) for n, size in enumerate(SIZES)]
    decoder = TorchvisionDecoder(preprocessing, device=device)
    decoder.check()
    found = decoder([memoryview(one) for one in data])
    assert found.sizes == SIZES
    assert found.inputs_NHWC.shape == (4, 224, 224, preprocessing.channels)
    assert found.thumbnails_NHW.shape == (4, 32, 32)
    # nvJPEG upsamples the colours in another way, which sharp edges show.
    mean, most = (0.5, 8) if device == "cpu" else (2.0, 255)
    for number, one in enumerate(data):
        pixels = decode(one, channels=1 if preprocessing.channels == 1 else 3)
        expected = preprocessing.apply(pixels).transpose(1, 2, 0)
        error = np.abs(found.inputs_NHWC[number].astype(int) - expected)
        assert error.mean() < mean
        assert error.max() <= most
        small = thumbnails(pixels[None])
        assert np.abs(found.thumbnails_NHW[number].astype(int) - small[0]).max() <= 2
        bits = int(phash(found.thumbnails_NHW[number][None])[0]) ^ int(phash(small)[0])
        assert bits.bit_count() <= 6


def test_a_broken_image_fails_the_list() -> None:
    decoder = TorchvisionDecoder(RESNET, device="cpu")
    with pytest.raises(RuntimeError):
        decoder([images.jpeg(), images.TEXT])
