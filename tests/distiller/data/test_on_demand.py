from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch

from distiller.data.bad_images import BadImages
from distiller.data.image_index import build_image_index
from distiller.data.in_memory import load_into_memory
from distiller.data.on_demand import OnDemandImages
from distiller.data.order import index_batches
from shards.decode import DecodeLimits
from shards.errors import CoursepackError, ShardError, UsageError
from tests.distiller.small_sets import GREY_32, write_shards

CPU = torch.device("cpu")


def on_demand(folder: str, *, max_bad: float = 0.5, threads: int = 2) -> OnDemandImages:
    index = build_image_index([folder])
    return OnDemandImages(
        index,
        GREY_32,
        bad=BadImages(index.num_samples, max_bad=max_bad),
        threads=threads,
        limits=DecodeLimits(),
        device=CPU,
    )


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_equal_those_from_memory_bad_images_included(tmp_path: Path, threads: int) -> None:
    broken = dict.fromkeys((3, 4, 9, 29), b"no image at all")
    folder = write_shards(tmp_path / "pool", 30, per_shard=7, replace=broken)
    index = build_image_index([folder])
    memory = load_into_memory(
        index,
        GREY_32,
        bad=BadImages(30, max_bad=0.5),
        threads=1,
        limits=DecodeLimits(),
        device=CPU,
    )
    demand = on_demand(folder, threads=threads)
    order = list(index_batches(30, batch_size=8, start=0, stop=12, seed=1))
    for expected, found in zip(memory.batches(order), demand.batches(order), strict=True):
        assert torch.equal(expected.indices_B, found.indices_B)
        assert torch.equal(expected.images_BCSS, found.images_BCSS)
    assert demand.bad.counts == memory.bad.counts == {"undecodable": 4}


def test_an_image_that_is_met_often_is_counted_once(tmp_path: Path) -> None:
    images = on_demand(write_shards(tmp_path / "pool", 5, replace={2: b"text"}))
    list(images.batches([torch.tensor([2, 2, 2, 2]), torch.tensor([2, 1, 2])]))
    assert images.bad.counts == {"undecodable": 1}


def test_stopping_early_ends_the_threads(tmp_path: Path) -> None:
    images = on_demand(write_shards(tmp_path / "pool", 20))
    batches = images.batches(index_batches(20, batch_size=4, start=0, stop=1000, seed=0))
    next(batches)
    batches.close()
    assert list(batches) == []


def test_too_many_bad_images_stop_the_run(tmp_path: Path) -> None:
    broken = dict.fromkeys(range(20), b"text")
    images = on_demand(write_shards(tmp_path / "pool", 20, replace=broken), max_bad=0.1)
    with pytest.raises(CoursepackError, match="are unusable"):
        list(images.batches([torch.arange(20)]))


def test_a_set_without_any_good_image_is_an_error_and_no_endless_search(tmp_path: Path) -> None:
    broken = dict.fromkeys(range(5), b"text")
    images = on_demand(write_shards(tmp_path / "pool", 5, replace=broken), max_bad=5)
    with pytest.raises(CoursepackError, match="none of 5 images can be decoded"):
        list(images.batches([torch.arange(5)]))


def test_compressed_shards_are_refused_with_the_cure(tmp_path: Path) -> None:
    folder = Path(write_shards(tmp_path / "pool", 2))
    (shard,) = folder.glob("*.tar")
    (tmp_path / "pool.tar.gz").write_bytes(gzip.compress(shard.read_bytes()))
    with pytest.raises(UsageError, match=r"is compressed, .* data\.memory_bytes"):
        on_demand(str(tmp_path / "pool.tar.gz"))


def test_a_shard_that_shrank_is_an_error(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "pool", 10)
    images = on_demand(folder)
    (shard,) = Path(folder).glob("*.tar")
    shard.write_bytes(shard.read_bytes()[:5000])
    with pytest.raises(ShardError, match=r"sample 9 should have \d+ bytes at \d+, found 0"):
        list(images.batches([torch.tensor([9])]))
