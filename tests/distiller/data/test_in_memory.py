from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from distiller.data.bad_images import BadImages
from distiller.data.image_index import build_image_index
from distiller.data.in_memory import InMemoryImages, load_into_memory, next_good
from shards.decode import DecodeLimits
from shards.errors import CoursepackError
from tests.distiller.small_sets import GREY_32, bars, grey, write_shards


def load(folder: str, *, max_bad: float = 0.5, threads: int = 1, size: int = 32) -> InMemoryImages:
    index = build_image_index([folder])
    return load_into_memory(
        index,
        GREY_32 if size == 32 else grey(size),
        bad=BadImages(index.num_samples, max_bad=max_bad),
        threads=threads,
        limits=DecodeLimits(),
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize("threads", [1, 3])
def test_pixels_are_the_decoded_ones_in_order(tmp_path: Path, threads: int) -> None:
    images = load(write_shards(tmp_path / "pool", 150, per_shard=40), threads=threads)
    expected = np.stack([bars(i)[None] for i in range(150)])
    assert images.num_images == 150
    np.testing.assert_array_equal(images.images_NCSS.numpy(), expected)


def test_pixels_go_through_the_teachers_preprocessing(tmp_path: Path) -> None:
    images = load(write_shards(tmp_path / "pool", 3), size=20)
    expected = np.stack([grey(20).apply(bars(i)) for i in range(3)])
    np.testing.assert_array_equal(images.images_NCSS.numpy(), expected)


def test_compressed_shards_give_the_same_pixels(tmp_path: Path) -> None:
    folder = Path(write_shards(tmp_path / "pool", 80))
    (shard,) = folder.glob("*.tar")
    (tmp_path / "pool.tar.gz").write_bytes(gzip.compress(shard.read_bytes()))
    compressed, plain = load(str(tmp_path / "pool.tar.gz")), load(str(folder))
    assert torch.equal(compressed.images_NCSS, plain.images_NCSS)


def test_batches_are_the_asked_images(tmp_path: Path) -> None:
    images = load(write_shards(tmp_path / "pool", 10))
    asked = [torch.tensor([7, 0, 7]), torch.tensor([9])]
    found = list(images.batches(asked))
    assert [b.indices_B.tolist() for b in found] == [[7, 0, 7], [9]]
    np.testing.assert_array_equal(
        found[0].images_BCSS.numpy(), np.stack([bars(i)[None] for i in (7, 0, 7)])
    )


def test_a_bad_image_gives_its_turn_to_the_next_good_one(tmp_path: Path) -> None:
    broken = dict.fromkeys((3, 4, 9), b"no image at all")
    images = load(write_shards(tmp_path / "pool", 10, replace=broken))
    assert dict(images.bad.counts) == {"undecodable": 3}
    (batch,) = images.batches([torch.arange(10)])
    assert batch.indices_B.tolist() == [0, 1, 2, 5, 5, 5, 6, 7, 8, 0]
    np.testing.assert_array_equal(batch.images_BCSS[3, 0].numpy(), bars(5))


def test_too_many_bad_images_are_an_error_with_an_example(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "pool", 10, replace={3: b"text", 4: b"text"})
    with pytest.raises(CoursepackError, match=r"2 of 10 samples are unusable .* sample 3"):
        load(folder, max_bad=0.1)


def test_next_good_goes_round_at_the_end() -> None:
    assert next_good(np.array([0, 1, 0, 0, 1, 0], dtype=bool)).tolist() == [1, 1, 4, 4, 4, 1]
    with pytest.raises(CoursepackError, match="none of 2 images"):
        next_good(np.zeros(2, dtype=bool))
