from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distiller.data.image_index import build_image_index
from distiller.data.walk import indexed_samples, member_data
from shards.errors import ShardError
from tests.distiller.small_sets import bars, png, write_shards


def test_each_image_of_the_index_comes_with_its_sample(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "pool", 8, per_shard=3, drop=(1,))
    index = build_image_index([folder])
    walked = list(indexed_samples(index))
    assert [image for image, _ in walked] == list(range(7))
    for image, sample in walked:
        number = int(sample.entry.key)
        assert bytes(member_data(sample, int(index.offset_N[image]))) == png(bars(number))


def test_a_subset_of_an_index_skips_the_rest(tmp_path: Path) -> None:
    index = build_image_index([write_shards(tmp_path / "pool", 8, per_shard=3)])
    some = index.subset(np.array([2, 3, 7]))
    assert [int(s.entry.key) for _, s in indexed_samples(some)] == [2, 3, 7]


def test_a_shard_that_lost_samples_since_is_an_error(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "pool", 6)
    index = build_image_index([folder])
    write_shards(tmp_path / "pool", 3)
    with pytest.raises(ShardError, match=r"sample 3 is no longer where it was"):
        list(indexed_samples(index))


def test_a_member_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    index = build_image_index([write_shards(tmp_path / "pool", 1)])
    ((_, sample),) = indexed_samples(index)
    with pytest.raises(ShardError, match="no member at byte 7"):
        member_data(sample, 7)
