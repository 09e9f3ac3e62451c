from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from distiller.data.image_index import build_image_index
from distiller.data.walk import indexed_samples
from shards import storage
from shards.errors import StorageError, UsageError
from tests.distiller.small_sets import bars, png, write_shards


def test_offsets_lead_to_the_images_bytes(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "pool", 7, per_shard=3, labelled=True)
    index = build_image_index([folder], label_ext="cls")
    assert len(index) == 7
    assert index.shard_N.tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert index.sample_N.tolist() == [0, 1, 2, 0, 1, 2, 0]
    for image in range(7):
        uri = index.shards[index.shard_N[image]].uri
        offset, size = int(index.offset_N[image]), int(index.size_N[image])
        assert storage.read_range(uri, offset, size) == png(bars(image))
        offset, size = int(index.label_offset_N[image]), int(index.label_size_N[image])
        assert storage.read_range(uri, offset, size) == str(image % 4).encode()


def test_samples_without_an_image_are_counted_and_left_out(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "pool", 6, drop=(0, 4))
    index = build_image_index([folder])
    assert index.sample_N.tolist() == [1, 2, 3, 5]
    assert index.num_samples == 6
    assert index.skipped == {"no_image": 2}


def test_a_sample_cut_by_truncation_is_counted_as_damaged(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "pool", 4)
    (shard,) = Path(folder).glob("*.tar")
    index = build_image_index([folder])
    shard.write_bytes(shard.read_bytes()[: int(index.offset_N[3]) + 20])
    cut = build_image_index([folder])
    assert cut.sample_N.tolist() == [0, 1, 2]
    assert cut.skipped == {"damaged": 1}
    assert cut.examples[0].startswith(f"{shard} sample 3: truncated shard")
    assert [text.partition(": ")[0] for text in cut.breaks] == [str(shard)]
    assert index.breaks == ()


def test_the_fingerprint_is_of_the_content_and_not_of_the_place(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "pool", 5)
    here = build_image_index([folder]).fingerprint
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    assert build_image_index([str(moved)]).fingerprint == here
    other = write_shards(tmp_path / "other", 6)
    assert build_image_index([other]).fingerprint != here


def test_a_subset_keeps_the_places(tmp_path: Path) -> None:
    index = build_image_index([write_shards(tmp_path / "pool", 7, per_shard=3)])
    some = index.subset(np.array([1, 4, 6]))
    assert len(some) == 3
    assert [some.describe(i) for i in range(3)] == [index.describe(i) for i in (1, 4, 6)]
    assert some.offset_N.tolist() == index.offset_N[[1, 4, 6]].tolist()


def test_one_index_followed_by_another_keeps_every_place(tmp_path: Path) -> None:
    first = build_image_index([write_shards(tmp_path / "b", 5, per_shard=3, drop=(1,))])
    second = build_image_index([write_shards(tmp_path / "a", 4, drop=(2,))])
    both = first.followed_by(second)
    places = [index.describe(i) for index in (first, second) for i in range(len(index))]
    assert [both.describe(i) for i in range(len(both))] == places
    assert [image for image, _ in indexed_samples(both)] == list(range(7))
    assert (both.num_samples, both.skipped) == (9, {"no_image": 2})
    turned = second.followed_by(first)
    assert len({index.fingerprint for index in (both, turned, first, second)}) == 4


def test_the_order_of_image_extensions_decides(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "pool", 2, labelled=True)
    as_text = build_image_index([folder], image_ext=("cls", "png"))
    assert as_text.size_N.tolist() == [1, 1]


def test_shards_without_any_image_are_refused(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "pool", 2, drop=(0, 1))
    with pytest.raises(UsageError, match=r"none of 2 samples has an image .* data\.image_ext"):
        build_image_index([folder])


def test_missing_shards_are_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"missing\.tar"):
        build_image_index([str(tmp_path / "missing.tar")])
