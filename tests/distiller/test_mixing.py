from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from distiller.mixing import MixOptions, box_masks, random_mix


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def constant_images(num: int, size: int = 8) -> Tensor:
    """Image n is 10 n everywhere, so what was mixed can be read off."""
    values = (10 * torch.arange(num)).to(torch.uint8)
    return values[:, None, None, None].expand(num, 3, size, size).contiguous()


def test_mixup_blends_with_another_image_of_the_batch() -> None:
    images = constant_images(12)
    mixed = random_mix(images, MixOptions(mixup=1.0), generator=generator())
    levels = mixed[:, 0, 0, 0].tolist()
    assert torch.equal(mixed, mixed[:, :1, :1, :1].expand_as(mixed))
    assert len(set(levels)) > 6
    draws = generator()
    order = torch.randperm(12, generator=draws)
    partner = torch.empty(12, dtype=torch.long)
    partner[order] = order.roll(-1)
    assert not bool((partner == torch.arange(12)).any())
    torch.rand(12, generator=draws)
    seed = int(torch.randint(2**62, (), generator=draws))
    lam = np.random.default_rng(seed).beta(1.0, 1.0, 12)
    expected = [10 * (w * n + (1 - w) * int(partner[n])) for n, w in enumerate(lam)]
    assert levels == pytest.approx(expected, abs=0.51)


def test_cutmix_pastes_a_box_of_the_other_image() -> None:
    images = constant_images(12, size=16)
    mixed = random_mix(images, MixOptions(cutmix=1.0), generator=generator(1))
    for n, image in enumerate(mixed):
        rows, columns = torch.nonzero(image[0] != 10 * n, as_tuple=True)
        if len(rows) == 0:
            continue
        box = image[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert len(box.unique()) == 1
        assert box.numel() == 3 * len(rows)  # nothing outside a rectangle was touched


@given(own=st.floats(0, 1), seed=st.integers(0, 99))
def test_a_box_has_the_area_asked_for_and_lies_inside(own: float, seed: int) -> None:
    place = torch.rand(1, 2, generator=generator(seed))
    mask = box_masks(torch.tensor([own]), place, 32, 24)[0]
    side = (1 - own) ** 0.5
    assert int(mask.sum()) == round(side * 32) * round(side * 24)


def test_shares_hold_and_the_rest_stays() -> None:
    images = constant_images(25)
    torch.testing.assert_close(random_mix(images, MixOptions(), generator=generator()), images)
    big = torch.randint(0, 256, (2000, 1, 4, 4), dtype=torch.uint8, generator=generator(3))
    mixed = random_mix(big, MixOptions(mixup=0.3, cutmix=0.2), generator=generator(4))
    changed = float((mixed != big).flatten(1).any(dim=1).float().mean())
    # A box of a few of 16 pixels may be empty: fewer than half differ.
    assert 0.38 < changed < 0.52
    assert torch.equal(
        mixed, random_mix(big, MixOptions(mixup=0.3, cutmix=0.2), generator=generator(4))
    )


def test_one_image_alone_is_mixed_with_itself() -> None:
    image = constant_images(2)[1:]
    assert torch.equal(random_mix(image, MixOptions(mixup=1.0), generator=generator()), image)


def test_shares_of_more_than_all_are_refused() -> None:
    with pytest.raises(ValidationError, match="together they are at most 1"):
        MixOptions(mixup=0.6, cutmix=0.6)
