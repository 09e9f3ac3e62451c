from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distiller.data.image_index import build_image_index
from distiller.data.in_memory import InMemoryImages
from distiller.data.on_demand import OnDemandImages
from distiller.data.open_images import decoded_bytes, open_images
from shards.errors import CoursepackError
from tests.distiller.small_sets import GREY_32, write_shards


@pytest.mark.parametrize(("spare", "kind"), [(0, InMemoryImages), (-1, OnDemandImages)])
def test_the_budget_decides_to_the_byte(tmp_path: Path, spare: int, kind: type) -> None:
    index = build_image_index([write_shards(tmp_path / "pool", 5)])
    assert decoded_bytes(5, GREY_32) == 5 * 32 * 32
    images = open_images(
        index,
        GREY_32,
        memory_bytes=5 * 32 * 32 + spare,
        max_bad=0,
        threads=1,
        device=torch.device("cpu"),
    )
    assert isinstance(images, kind)
    assert images.num_images == 5


@pytest.mark.parametrize("memory_bytes", [0, 1 << 30])
def test_samples_without_an_image_count_as_unusable(tmp_path: Path, memory_bytes: int) -> None:
    index = build_image_index([write_shards(tmp_path / "pool", 10, drop=(1, 2))])

    def opened(max_bad: float) -> object:
        return open_images(
            index,
            GREY_32,
            memory_bytes=memory_bytes,
            max_bad=max_bad,
            threads=1,
            device=torch.device("cpu"),
        ).bad.counts

    assert opened(0.2) == {"no_image": 2}
    with pytest.raises(CoursepackError, match=r"2 of 10 samples are unusable \(2 no_image\)"):
        opened(0.1)
