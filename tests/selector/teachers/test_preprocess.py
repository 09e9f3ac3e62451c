from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tvf

from selector.teachers.preprocess import Preprocessing, center_crop
from selector.teachers.zoo import default_preprocessing
from shards.errors import ImageError, UsageError
from shards.picture import Frame

SMALL = Preprocessing(
    channels=3,
    resize=20,
    resize_mode="short_side",
    crop=16,
    interpolation="bilinear",
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.3, 0.4),
)
# Odd and even differences to the crop, both orientations, enlargements, needles.
SIZES = [(64, 64), (375, 500), (500, 375), (333, 251), (31, 97), (20, 300), (256, 256), (257, 256)]


def random_pixels(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (height, width, 3) if channels == 3 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def floats(preprocessing: Preprocessing, pixels: np.ndarray) -> torch.Tensor:
    """The teacher's whole way: pixels, then normalisation."""
    prepared = preprocessing.apply(pixels).copy()
    return preprocessing.normalize(torch.from_numpy(prepared)[None])[0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "name", ["resnet34", "resnet50", "efficientnet_b0", "inception_v3", "vit_b_16"]
)
def test_equals_the_torchvision_transform_to_the_bit(name: str, size: tuple[int, int]) -> None:
    from torchvision.models import get_model_weights

    pixels = random_pixels(*size)
    image = Image.fromarray(pixels)
    stock = get_model_weights(name).DEFAULT.transforms()
    ours = default_preprocessing(f"torchvision/{name}")
    resized = tvf.resize(image, stock.resize_size, stock.interpolation)
    expected = np.asarray(tvf.center_crop(resized, stock.crop_size)).transpose(2, 0, 1)
    np.testing.assert_array_equal(ours.apply(pixels), expected)
    assert torch.equal(floats(ours, pixels), stock(image))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "name",
    [
        "resnet50.a1_in1k",
        "vit_tiny_patch16_224",
        "mobilenetv3_small_100",
        "efficientnet_b0",
        "vit_base_patch16_siglip_224",
        "beit_base_patch16_224",
    ],
)
def test_equals_the_timm_transform_to_the_bit(name: str, size: tuple[int, int]) -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    pixels = random_pixels(*size)
    image = Image.fromarray(pixels)
    config = timm.data.resolve_data_config(
        pretrained_cfg=timm.get_pretrained_cfg(name).to_dict(), verbose=False
    )
    ours = default_preprocessing(f"timm/{name}")
    raw = timm.data.create_transform(**config, is_training=False, normalize=False)(image)
    np.testing.assert_array_equal(ours.apply(pixels), raw.numpy())
    stock = timm.data.create_transform(**config, is_training=False)
    assert torch.equal(floats(ours, pixels), stock(image))


@pytest.mark.parametrize("size", [(64, 64), (48, 64), (32, 32), (7, 500)])
def test_he_is_a_bilinear_squash_to_32(size: tuple[int, int]) -> None:
    pixels = random_pixels(*size)
    stock = transforms.Compose(
        [
            transforms.Resize((32, 32), InterpolationMode.BILINEAR),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    assert torch.equal(
        floats(default_preprocessing("he/resnet20"), pixels), stock(Image.fromarray(pixels))
    )


@pytest.mark.parametrize("size", [(28, 28), (105, 105), (60, 30)])
def test_grey_teachers_get_what_torchvision_makes_of_an_l_image(size: tuple[int, int]) -> None:
    pixels = random_pixels(*size, channels=1)
    stock = transforms.Compose(
        [
            transforms.Resize((32, 32)),
            transforms.ToTensor(),
            transforms.Normalize((0.1307,), (0.3081,)),
        ]
    )
    ours = default_preprocessing("lenet/5")
    assert ours.apply(pixels).shape == ours.input_size == (1, 32, 32)
    assert torch.equal(floats(ours, pixels), stock(Image.fromarray(pixels)))


@pytest.mark.parametrize("size", [(300, 400), (400, 300), (224, 224), (97, 31)])
def test_center_fraction_crops_first(size: tuple[int, int]) -> None:
    pixels = random_pixels(*size)
    ours = default_preprocessing("efficientnet-lite/0")
    side = int(224 / (224 + 32) * min(size))
    top, left = (size[0] - side + 1) // 2, (size[1] - side + 1) // 2
    crop = Image.fromarray(pixels).crop((left, top, left + side, top + side))
    expected = np.asarray(crop.resize((224, 224), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(ours.apply(pixels).transpose(1, 2, 0), expected)
    np.testing.assert_allclose(
        floats(ours, pixels).permute(1, 2, 0), (expected.astype(np.float32) - 127) / 128, atol=1e-5
    )


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]))
def test_center_crop_is_torchvisions(height: int, width: int, side: int, channels: int) -> None:
    pixels = random_pixels(height, width, channels)
    expected = np.asarray(tvf.center_crop(Image.fromarray(pixels), [side]))
    np.testing.assert_array_equal(center_crop(pixels[None], side)[0], expected)


@given(
    number=st.integers(1, 5),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    mode=st.sampled_from(["none", "short_side", "squash", "center_fraction"]),
)
def test_a_stack_is_prepared_like_each_image(
    number: int, height: int, width: int, mode: str
) -> None:
    preprocessing = replace(
        SMALL,
        resize_mode=mode,  # type: ignore[arg-type]
        resize=None if mode == "none" else 20,
    )
    stack = np.stack([random_pixels(height, width, seed=seed) for seed in range(number)])
    prepared = preprocessing.apply_stack(stack)
    assert prepared.shape == (number, 16, 16, 3)
    for one, alone in zip(prepared, stack, strict=True):
        np.testing.assert_array_equal(one.transpose(2, 0, 1), preprocessing.apply(alone))


def test_squash_to_height_and_width() -> None:
    wide = replace(SMALL, resize_mode="squash", resize=(16, 30))
    pixels = random_pixels(50, 40)
    resized = Image.fromarray(pixels).resize((30, 16), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(
        wide.apply(pixels).transpose(1, 2, 0), np.asarray(resized)[:, 7:23]
    )


def test_normalize_keeps_its_input_and_takes_floats() -> None:
    batch = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    as_float = batch.float()
    kept = as_float.clone()
    assert torch.equal(SMALL.normalize(as_float), SMALL.normalize(batch))
    assert torch.equal(as_float, kept)
    assert SMALL.normalize(batch).dtype == torch.float32


@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (3, 4, 4)])
def test_normalize_refuses_other_batches(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, 3, H, W\)"):
        SMALL.normalize(torch.zeros(shape))


def test_a_needle_is_refused_before_it_grows() -> None:
    needle = np.zeros((1, 20_000, 3), np.uint8)
    with pytest.raises(ImageError, match="would become 5120000 x 256") as raised:
        default_preprocessing("torchvision/resnet34").apply(needle)
    assert raised.value.status == "too_large"


@pytest.mark.parametrize(
    "name", ["he/resnet20", "lenet/5", "torchvision/resnet50", "efficientnet-lite/2"]
)
def test_survives_json(name: str) -> None:
    ours = default_preprocessing(name)
    again = Preprocessing.from_dict(json.loads(json.dumps(ours.to_dict())))
    assert again == ours
    assert again.fingerprint() == ours.fingerprint()


def test_exact_is_what_it_was_before_there_was_a_choice() -> None:
    # Runs and cards hold this fingerprint of he/resnet20 since the first version.
    known = "68fb5155110008cde98547f792bc6e1fad36f272ce9ce8ba017f170836a854d2"
    ours = default_preprocessing("he/resnet20")
    assert ours.fingerprint() == known
    assert "decode" not in ours.to_dict()
    assert Preprocessing.from_dict({**ours.to_dict(), "decode": "exact"}) == ours
    fast = replace(ours, decode="fast")
    assert fast.to_dict() == {**ours.to_dict(), "decode": "fast"}
    assert Preprocessing.from_dict(fast.to_dict()) == fast


@pytest.mark.parametrize("mode", ["short_side", "squash", "center_fraction"])
def test_a_reduced_picture_is_resized_by_the_size_of_the_whole(mode: str) -> None:
    # 401 x 299 pixels by 4: the last column and row stand for a quarter and for three quarters.
    whole = Image.fromarray(random_pixels(12, 16)).resize((404, 300), Image.Resampling.BICUBIC)
    reduced = np.asarray(whole.reduce(4))
    frame = Frame(299, 401, (0, 0, 401 / 4, 299 / 4))
    preprocessing = replace(SMALL, resize_mode=mode)  # type: ignore[arg-type]
    expected = preprocessing.apply(np.asarray(whole)[:299, :401]).astype(int)
    found = preprocessing.apply_stack(reduced[None], frame)[0].transpose(2, 0, 1)
    assert found.shape == expected.shape
    # A cut between two pixels reads both of them, where the exact one has a border: 3 levels there.
    assert np.abs(found - expected).mean() < 1
    assert np.abs(found - expected)[:, 1:-1, 1:-1].mean() < 0.5


def test_the_fingerprint_tells_every_field() -> None:
    changes: list[dict[str, Any]] = [
        {"resize": 21},
        {"resize_mode": "squash"},
        {"crop": 15},
        {"interpolation": "bicubic"},
        {"mean": (0.5, 0.4, 0.31)},
        {"std": (0.2, 0.3, 0.41)},
        {"orientation": "stored"},
        {"decode": "fast"},
        {"channels": 1, "mean": (0.5,), "std": (0.2,)},
    ]
    prints = {replace(SMALL, **change).fingerprint() for change in changes}
    assert len(prints | {SMALL.fingerprint()}) == len(changes) + 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"channels": 4}, "preprocessing.channels is 4"),
        ({"resize": None}, "preprocessing.resize is None"),
        ({"resize": (20, 20)}, "preprocessing.resize"),
        ({"resize_mode": "none"}, "expected null with resize_mode none"),
        ({"resize_mode": "fit"}, "none | short_side | squash | center_fraction"),
        ({"resize_mode": "center_fraction", "resize": 8}, "at least crop"),
        ({"crop": 0}, "preprocessing.crop is 0"),
        ({"crop": True}, "preprocessing.crop"),
        ({"interpolation": "linear"}, "nearest | box | bilinear"),
        ({"mean": [0.5]}, "expected 3 numbers"),
        ({"std": [0.0, 1.0, 1.0]}, "3 numbers above 0"),
        ({"orientation": "upright"}, "exif | stored"),
        ({"decode": "quick"}, "exact | fast"),
    ],
)
def test_senseless_fields_are_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError) as raised:
        Preprocessing.from_dict({**SMALL.to_dict(), **change})
    assert named in str(raised.value)


def test_unknown_and_missing_fields_are_named() -> None:
    fields = SMALL.to_dict()
    del fields["std"]
    with pytest.raises(UsageError, match=r"unknown fields \['size'\] and lacks \['std'\]"):
        Preprocessing.from_dict({**fields, "size": 3})
