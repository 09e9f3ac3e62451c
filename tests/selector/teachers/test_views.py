from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import functional as tvf

from selector.teachers.preprocess import Preprocessing
from selector.teachers.views import VIEWS, crop_stack, margin, views_text
from selector.teachers.zoo import default_preprocessing
from shards.errors import ImageError

CORNERS = Preprocessing(
    channels=3,
    resize=20,
    resize_mode="short_side",
    crop=16,
    interpolation="bilinear",
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.3, 0.4),
)
SIZES = [(64, 64), (75, 100), (100, 75), (33, 25), (20, 90)]


def pictures(*size: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *size), np.uint8)


@pytest.mark.parametrize("size", [(250, 333), (256, 256), (97, 131)])
def test_a_cropping_teacher_gets_torchvisions_five_crop(size: tuple[int, int]) -> None:
    pixels = pictures(*size, 3)
    ours = crop_stack(default_preprocessing("torchvision/resnet34"), 5, pixels)
    for number, one in enumerate(pixels):
        resized = tvf.resize(Image.fromarray(one), 256, tvf.InterpolationMode.BILINEAR)
        *corners, centre = tvf.five_crop(resized, [224, 224])
        expected = np.stack([np.asarray(crop) for crop in (centre, *corners)])
        np.testing.assert_array_equal(ours[:, number], expected)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["he/resnet20", "cifar/resnet18"])
def test_a_teacher_that_crops_nothing_gets_corners_of_a_larger_resize(
    name: str, size: tuple[int, int]
) -> None:
    pixels, preprocessing = pictures(*size, 3), default_preprocessing(name)
    ours = crop_stack(preprocessing, 5, pixels)
    np.testing.assert_array_equal(ours[0], preprocessing.apply_stack(pixels), "its own, as ever")
    larger = [36, 36] if preprocessing.resize_mode == "squash" else 36
    resized = tvf.resize(Image.fromarray(pixels[1]), larger, tvf.InterpolationMode.BILINEAR)
    corners = tvf.five_crop(resized, [32, 32])[:4]
    np.testing.assert_array_equal(ours[1:, 1], np.stack([np.asarray(one) for one in corners]))


@pytest.mark.parametrize("size", SIZES)
def test_an_image_gets_the_same_crops_alone(size: tuple[int, int]) -> None:
    pixels = pictures(*size, 3, count=3)
    together = crop_stack(CORNERS, 5, pixels)
    assert together.shape == (5, 3, 16, 16, 3)
    np.testing.assert_array_equal(together[:, 2:], crop_stack(CORNERS, 5, pixels[2:]))
    assert len({crop.tobytes() for crop in together[:, 0]}) == 5


def test_grey_images_have_one_channel() -> None:
    assert crop_stack(default_preprocessing("lenet/5"), 5, pictures(28, 28)).shape == (
        5, 2, 32, 32, 1,
    )  # fmt: skip


def test_small_images_that_are_not_resized_are_shifted_in_a_border() -> None:
    plain = replace(CORNERS, resize=None, resize_mode="none")
    pixels = np.full((1, 16, 16, 3), 9, np.uint8)
    top_left = crop_stack(plain, 5, pixels)[1, 0, :, :, 0]
    assert margin(16) == 2
    assert not top_left[0].any()
    assert not top_left[:, 0].any()
    assert (top_left[1:, 1:] == 9).all()


def test_a_pair_of_sizes_grows_where_it_must() -> None:
    pair = replace(CORNERS, resize=(16, 20), resize_mode="squash")
    expected = tvf.resize(Image.fromarray(pictures(40, 50, 3)[0]), [18, 20])
    corner = np.asarray(expected)[2:, 4:]
    np.testing.assert_array_equal(crop_stack(pair, 5, pictures(40, 50, 3))[4, 0], corner)


def test_center_fraction_cuts_its_corners_first() -> None:
    preprocessing = default_preprocessing("efficientnet-lite/0")
    pixels = pictures(300, 400, 3, count=1)
    ours = crop_stack(preprocessing, 5, pixels)
    side = 300 * preprocessing.crop // preprocessing.resize  # type: ignore[operator]
    cut = Image.fromarray(pixels[0, -side:, -side:])
    expected = cut.resize((preprocessing.crop,) * 2, Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(ours[4, 0], np.asarray(expected))
    whole = replace(preprocessing, resize=preprocessing.crop)
    assert len({crop.tobytes() for crop in crop_stack(whole, 5, pixels)[:, 0]}) == 5


def test_what_a_corner_would_blow_up_is_too_large() -> None:
    with pytest.raises(ImageError, match="pixels would become"):
        crop_stack(default_preprocessing("torchvision/resnet34"), 5, pictures(1, 20_000, 3))


def test_names_say_how_many_passes_they_cost() -> None:
    assert {name: views.count for name, views in VIEWS.items()} == {
        "one": 1, "flip": 2, "five": 5, "ten": 10,
    }  # fmt: skip
    assert views_text("ten") == "scores: averages over 10 views of an image (ten)"
    assert [margin(crop) for crop in (28, 32, 224, 2)] == [4, 4, 32, 2]
