from pathlib import Path

import pytest
import torch

from distiller.data.image_batch import each_once
from distiller.data.image_index import build_image_index
from distiller.data.open_images import open_images
from tests.distiller.small_sets import GREY_32, write_shards


@pytest.mark.parametrize("memory_bytes", [0, 1 << 30])
def test_each_decodable_image_comes_once(tmp_path: Path, memory_bytes: int) -> None:
    """Also when a whole batch is bad: no stand-in may be counted."""
    broken = dict.fromkeys((0, 4, 5, 6, 7, 9), b"text")
    folder = write_shards(tmp_path / "pool", 11, replace=broken)
    images = open_images(
        build_image_index([folder]),
        GREY_32,
        memory_bytes=memory_bytes,
        max_bad=0.9,
        threads=1,
        device=torch.device("cpu"),
    )
    batches = list(each_once(images, batch_size=4))
    assert [b.indices_B.tolist() for b in batches] == [[1, 2, 3], [8, 10]]
    assert [len(b.images_BCSS) for b in batches] == [3, 2]
