from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from distiller.resized_crop import ResizedCropOptions, crop_boxes, random_resized_crop


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=30)
@given(seed=st.integers(0, 999), height=st.integers(8, 64), width=st.integers(8, 64))
def test_boxes_lie_inside_and_have_the_shape_asked_for(seed: int, height: int, width: int) -> None:
    options = ResizedCropOptions(scale=(0.1, 0.5), ratio=(0.5, 2.0))
    boxes = crop_boxes(50, height, width, options, generator=generator(seed)).double()
    top, left, crop_height, crop_width = boxes.unbind(dim=1)
    assert bool((top >= 0).all() & (left >= 0).all())
    assert bool((top + crop_height <= height + 1e-3).all())
    assert bool((left + crop_width <= width + 1e-3).all())
    drawn = (crop_height < height) | (crop_width < width)  # the others found no shape that fits
    share = (crop_height * crop_width / (height * width))[drawn]
    ratio = (crop_width / crop_height)[drawn]
    assert bool((share > 0.0999).all() & (share < 0.5001).all())
    assert bool((ratio > 0.4999).all() & (ratio < 2.0001).all())


def test_area_and_log_ratio_are_uniform() -> None:
    options = ResizedCropOptions(scale=(0.2, 0.4), ratio=(0.5, 2.0))
    boxes = crop_boxes(20_000, 100, 100, options, generator=generator()).double()
    share = boxes[:, 2] * boxes[:, 3] / 10_000
    log_ratio = (boxes[:, 3] / boxes[:, 2]).log()
    assert float(share.mean()) == pytest.approx(0.3, abs=0.002)
    assert float(share.std()) == pytest.approx(0.2 / math.sqrt(12), abs=0.002)
    assert float(log_ratio.mean()) == pytest.approx(0, abs=0.01)
    assert float(log_ratio.std()) == pytest.approx(2 * math.log(2) / math.sqrt(12), abs=0.01)


def test_pixels_are_those_of_a_bilinear_resize_of_the_box() -> None:
    ramp = (torch.arange(32)[:, None] * 3 + torch.arange(32)[None, :] * 4).to(torch.uint8)
    images = ramp.expand(20, 1, 32, 32).contiguous()
    options = ResizedCropOptions(scale=(0.2, 0.9))
    view = random_resized_crop(images, options, generator=generator(5))
    boxes = crop_boxes(20, 32, 32, options, generator=generator(5)).tolist()
    source = Image.fromarray(ramp.numpy()).convert("F")
    for image, (top, left, height, width) in zip(view, boxes, strict=True):
        affine = (width / 32, 0, left, 0, height / 32, top)
        expected = source.transform(
            (32, 32), Image.Transform.AFFINE, affine, resample=Image.Resampling.BILINEAR
        )
        inner = torch.frombuffer(bytearray(expected.tobytes()), dtype=torch.float32).view(32, 32)
        # Pillow leaves the outermost pixels black where ours repeats the border.
        difference = (image[0].float() - inner)[2:-2, 2:-2].abs()
        assert float(difference.max()) <= 1.0


def test_probability_0_is_the_whole_image() -> None:
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8, generator=generator())
    options = ResizedCropOptions(probability=0.0)
    assert torch.equal(random_resized_crop(images, options, generator=generator()), images)


@pytest.mark.parametrize("scale", [(0.0, 1.0), (0.5, 0.2), (0.5, 1.5)])
def test_ranges_that_mean_nothing_are_refused(scale: tuple[float, float]) -> None:
    with pytest.raises(ValidationError):
        ResizedCropOptions(scale=scale)
