from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from distiller.augment import (
    AffineOptions,
    AugmentOptions,
    affine_matrices,
    augment,
    random_affine,
    random_crop_flip,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(num: int = 6, channels: int = 3, height: int = 12, width: int = 16) -> Tensor:
    size = (num, channels, height, width)
    return torch.randint(0, 256, size, dtype=torch.uint8, generator=generator(99))


def crop_flip_by_loop(batch: Tensor, padding: int, flip: bool, fill: int, seed: int) -> Tensor:
    """The same random numbers, applied image by image with plain slices."""
    draws = generator(seed)
    offsets = torch.randint(0, 2 * padding + 1, (len(batch), 2), generator=draws).tolist()
    mirrored = (torch.rand(len(batch), generator=draws) < 0.5).tolist() if flip else None
    height, width = batch.shape[2:]
    views = []
    for n, image in enumerate(batch):
        canvas = torch.full(
            (image.shape[0], height + 2 * padding, width + 2 * padding), fill, dtype=torch.uint8
        )
        canvas[:, padding : padding + height, padding : padding + width] = image
        top, left = offsets[n]
        view = canvas[:, top : top + height, left : left + width]
        views.append(view.flip(-1) if mirrored is not None and mirrored[n] else view)
    return torch.stack(views)


@pytest.mark.parametrize("padding", [0, 1, 4])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("fill", [0, 200])
def test_crop_and_flip_equal_plain_slices(padding: int, flip: bool, fill: int) -> None:
    batch = images()
    view = random_crop_flip(batch, padding=padding, flip=flip, fill=fill, generator=generator(5))
    assert torch.equal(view, crop_flip_by_loop(batch, padding, flip, fill, seed=5))


@given(st.integers(0, 2**32), st.integers(1, 5))
def test_a_crop_shows_each_pixel_at_most_once(seed: int, padding: int) -> None:
    """Of an image of different pixels, a shift keeps some of them and repeats none."""
    batch = torch.arange(1, 101, dtype=torch.uint8).view(1, 1, 10, 10)
    view = random_crop_flip(batch, padding=padding, flip=True, fill=0, generator=generator(seed))
    shown = view[view > 0]
    assert len(shown.unique()) == len(shown) >= (10 - padding) ** 2


def test_offsets_and_flips_cover_their_range() -> None:
    batch = torch.zeros(4000, 1, 4, 4, dtype=torch.uint8)
    batch[:, 0, 1, 1] = 255
    view = random_crop_flip(batch, padding=1, flip=True, fill=0, generator=generator())
    counts = (view[:, 0] == 255).sum(dim=0)
    # The spot is at row 0..2 and column 0..2, mirrored to 1..3 in half of the views.
    expected = torch.zeros(4, 4)
    expected[:3] = 4000 / 3 * torch.tensor([1 / 6, 1 / 3, 1 / 3, 1 / 6])
    assert float((counts - expected).abs().max()) < 100


def test_nothing_asked_for_changes_nothing() -> None:
    batch = images()
    assert torch.equal(augment(batch, AugmentOptions(), generator=generator()), batch)


def test_the_input_is_not_changed_and_equal_seeds_give_equal_views() -> None:
    batch = images()
    before = batch.clone()
    options = AugmentOptions(
        affine=AffineOptions(degrees=20, translate=0.1, scale=(0.9, 1.1), shear=10),
        crop_padding=2,
        flip=True,
    )
    first = augment(batch, options, generator=generator(1))
    again = augment(batch, options, generator=generator(1))
    other = augment(batch, options, generator=generator(2))
    assert torch.equal(batch, before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.dtype == torch.uint8
    assert first.shape == batch.shape


def test_a_neutral_affine_map_is_the_identity() -> None:
    batch = images()
    assert torch.equal(random_affine(batch, AffineOptions(), fill=0, generator=generator()), batch)


@pytest.mark.parametrize("aspect", [1.0, 1.5])
def test_affine_matrices_invert_shift_rotation_shear_and_magnification(aspect: float) -> None:
    """The forward map, composed from its parts in pixels, undone by the matrix, is the identity."""
    options = AffineOptions(degrees=40, translate=0.2, scale=(0.7, 1.3), shear=15)
    found = affine_matrices(50, options, aspect=aspect, generator=generator(3)).double()
    draws = torch.rand(5, 50, generator=generator(3), dtype=torch.float64) * 2 - 1
    for n in range(50):
        angle = float(draws[0, n]) * math.radians(40)
        slope = math.tan(float(draws[1, n]) * math.radians(15))
        scale = 0.7 + 0.6 * (float(draws[2, n]) + 1) / 2
        half = torch.tensor([aspect, 1.0], dtype=torch.float64)  # half width, half height
        rotation = torch.tensor(
            [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        ).double()
        shear = torch.tensor([[1.0, slope], [0.0, 1.0]]).double()
        point = torch.tensor([0.3, -0.4], dtype=torch.float64)  # in [-1, 1] of the input
        moved = scale * rotation @ shear @ (point * half) + 0.2 * draws[3:, n] * 2 * half
        back = found[n, :, :2] @ (moved / half) + found[n, :, 2]
        torch.testing.assert_close(back, point, rtol=0, atol=1e-5)


def test_a_shift_by_whole_pixels_moves_pixels() -> None:
    """A translation of 1/4 of 8 pixels at most: the drawn shift, rounded to the pixel grid."""
    batch = torch.zeros(1, 1, 9, 9, dtype=torch.uint8)
    batch[0, 0, 4, 4] = 255
    view = random_affine(batch, AffineOptions(translate=0.3), fill=0, generator=generator(4))
    draws = torch.rand(5, 1, generator=generator(4), dtype=torch.float64) * 2 - 1
    weights = view[0, 0].double() / view.sum()
    rows = torch.arange(9, dtype=torch.float64)
    assert float(weights.sum(dim=1) @ rows) == pytest.approx(
        4 + 9 * 0.3 * float(draws[4, 0]), abs=0.02
    )
    assert float(weights.sum(dim=0) @ rows) == pytest.approx(
        4 + 9 * 0.3 * float(draws[3, 0]), abs=0.02
    )


def test_pixels_are_those_of_pillows_affine_map() -> None:
    """Of a smooth image, where another rounding of the sampling weights shows least."""
    ramp = (torch.arange(24)[:, None] * 4 + torch.arange(32)[None, :] * 5).to(torch.uint8)
    options = AffineOptions(degrees=30, translate=0.15, scale=(0.8, 1.3), shear=12)
    view = random_affine(
        ramp.expand(10, 1, 24, 32).contiguous(), options, fill=0, generator=generator(7)
    )
    matrices = affine_matrices(10, options, aspect=32 / 24, generator=generator(7)).double()
    source = Image.fromarray(ramp.numpy()).convert("F")
    half = torch.tensor([16.0, 12.0], dtype=torch.float64)  # of width and height
    for image, matrix in zip(view, matrices, strict=True):
        # From [-1, 1] to pixels: x_in = half (M (x_out / half - 1) + t) + half.
        linear = half[:, None] * matrix[:, :2] / half[None, :]
        shift = half * (matrix[:, 2] - matrix[:, :2].sum(dim=1)) + half
        coefficients = [*linear[0].tolist(), float(shift[0]), *linear[1].tolist(), float(shift[1])]
        shown = source.transform(
            (32, 24), Image.Transform.AFFINE, coefficients, resample=Image.Resampling.BILINEAR
        )
        expected = torch.frombuffer(bytearray(shown.tobytes()), dtype=torch.float32).view(24, 32)
        # Where Pillow shows nothing it is outside, and a pixel around that is at the border.
        outside = F.max_pool2d((expected == 0).float()[None], 5, stride=1, padding=2)[0] > 0
        outside[[0, 1, -2, -1]] = outside[:, [0, 1, -2, -1]] = True
        assert float((~outside).float().mean()) > 0.3
        assert float((image[0].float() - expected)[~outside].abs().max()) <= 1.0


def test_a_magnification_above_one_enlarges() -> None:
    batch = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    batch[0, 0, 6:10, 6:10] = 255
    view = random_affine(batch, AffineOptions(scale=(2.0, 2.0)), fill=0, generator=generator())
    assert int(view.sum()) == pytest.approx(4 * int(batch.sum()), rel=0.02)


def test_fill_is_what_comes_in_from_outside() -> None:
    batch = torch.full((8, 3, 8, 8), 90, dtype=torch.uint8)
    turned = random_affine(batch, AffineOptions(degrees=45), fill=90, generator=generator())
    assert torch.equal(turned, batch)
    shifted = random_affine(batch, AffineOptions(translate=0.5), fill=7, generator=generator())
    assert int(shifted.min()) == 7


def test_images_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(N, C, H, W\)"):
        augment(images().float(), AugmentOptions(), generator=generator())
    with pytest.raises(ValueError, match=r"expected uint8 \(N, C, H, W\)"):
        augment(images()[0], AugmentOptions(), generator=generator())


def test_a_scale_range_upside_down_is_refused() -> None:
    with pytest.raises(ValidationError, match="low <= high"):
        AffineOptions(scale=(1.2, 0.8))
