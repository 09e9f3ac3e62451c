from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import torch

from cluster.spread_images import SpreadImages, read_spread
from selector.teachers.zoo import default_preprocessing
from shards.errors import UsageError
from shards.limits import DEFAULT_LIMITS
from shards.sample import IMAGE_EXTENSIONS
from tests.support.pools import write_pool, write_shard


def read(
    pool: Path, num_images: int, *, least: int = 1, told: list[str] | None = None
) -> SpreadImages:
    return read_spread(
        [str(pool)],
        default_preprocessing("he/resnet8"),
        num_images=num_images,
        least=least,
        image_ext=IMAGE_EXTENSIONS,
        limits=DEFAULT_LIMITS,
        say=(told if told is not None else []).append,
    )


def test_they_are_the_beginnings_of_shards(tmp_path: Path) -> None:
    pool = write_pool(tmp_path, shards=3, images=4)
    found = read(pool, 6)
    assert found.pixels_NCHW.shape == (6, 3, 32, 32)
    assert found.pixels_NCHW.dtype == torch.uint8
    assert (found.shards, found.skipped) == (3, 0)
    all_of_them = read(pool, 100).pixels_NCHW
    assert len(all_of_them) == 12
    assert torch.equal(found.pixels_NCHW, all_of_them[[0, 1, 4, 5, 8, 9]])


def test_many_shards_are_passed_over_evenly(tmp_path: Path) -> None:
    found = read(write_pool(tmp_path, shards=40, images=1), 1000)
    assert found.shards == len(found.pixels_NCHW) == 32


def test_what_one_shard_lacks_the_next_ones_give(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", images=1, seed=0)
    write_shard(tmp_path / "b.tar", images=20, seed=1)
    assert len(read(tmp_path, 12).pixels_NCHW) == 12


def test_what_cannot_be_read_is_skipped_and_too_little_is_told(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", images=5, seed=0)
    (tmp_path / "b.tar").write_bytes(b"no tar at all" * 100)
    with tarfile.open(tmp_path / "c.tar", "w") as tar:
        for name in ("x.jpg", "y.txt"):
            info = tarfile.TarInfo(name)
            info.size = 7
            tar.addfile(info, io.BytesIO(b"no jpeg"))
    told: list[str] = []
    found = read(tmp_path, 9, told=told)
    assert (len(found.pixels_NCHW), found.shards, found.skipped) == (3, 1, 2)
    assert [line.startswith("left out: ") and "b.tar" in line for line in told] == [True]
    with pytest.raises(UsageError, match=r"gives 3 images .*\(2 cannot\), from 3 of 3 shards"):
        read(tmp_path, 9, least=4)
