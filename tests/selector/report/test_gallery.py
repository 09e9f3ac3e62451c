"""gallery: the right images at the right quantiles, from as few compressed shards as will do."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selector.report.gallery import (
    MAX_STREAMED,
    NUM_BANDS,
    PER_BAND,
    Band,
    Gallery,
    make_gallery,
    streamed_shards,
)
from selector.report.gather import gather
from selector.selection import select
from tests.selector.report.real_run import CLASS_NAMES, write_real_run

RECIPE = {"name": "top", "steps": [{"take": {"n": 120, "order": "noise_value"}}]}


def gallery_of(folder: Path, **options: int) -> Gallery:
    layout = write_real_run(folder, **options)
    select(layout.root, RECIPE)
    return make_gallery(gather(layout.root, "top"))


def thumbs(bands: tuple[Band, ...]) -> int:
    return sum(len(band.thumbs) for band in bands)


def test_bands_run_from_the_surest_to_the_least_sure(tmp_path: Path) -> None:
    gallery = gallery_of(tmp_path, num_plain=4)
    for side in (gallery.kept, gallery.dropped):
        assert len(side) == NUM_BANDS
        assert thumbs(side) == NUM_BANDS * PER_BAND
        lows = [band.low for band in side]
        assert lows == sorted(lows)
        assert all(band.low <= band.high for band in side)
    assert gallery.kept[-1].high < gallery.dropped[0].low
    assert gallery.problems == {}
    assert gallery.num_streamed == 0


def test_a_thumb_knows_its_image(tmp_path: Path) -> None:
    gallery = gallery_of(tmp_path, num_plain=3)
    for band in gallery.kept:
        for thumb in band.thumbs:
            assert thumb.picture.uri.startswith("data:image/png")
            assert thumb.class_name in CLASS_NAMES
            assert thumb.shard.endswith(".tar")
            assert band.low <= thumb.noise_value <= band.high


def test_of_many_compressed_shards_few_are_read(tmp_path: Path) -> None:
    gallery = gallery_of(tmp_path, num_plain=0, num_compressed=5)
    shards = {t.shard for side in (gallery.kept, gallery.dropped) for b in side for t in b.thumbs}
    assert len(shards) <= MAX_STREAMED == gallery.num_streamed
    assert gallery.problems == {}
    assert thumbs(gallery.kept) >= NUM_BANDS * 4


def test_small_selections_show_what_they_have(tmp_path: Path) -> None:
    layout = write_real_run(tmp_path)
    select(layout.root, {"name": "few", "steps": [{"take": {"n": 1, "order": "noise_value"}}]})
    gallery = make_gallery(gather(layout.root, "few"))
    assert thumbs(gallery.kept) == 1
    assert thumbs(gallery.dropped) == NUM_BANDS * PER_BAND


def test_a_selection_of_everything_drops_nothing(tmp_path: Path) -> None:
    layout = write_real_run(tmp_path)
    select(layout.root, {"name": "all", "steps": [{"take": {"n": 118, "order": "noise_value"}}]})
    assert make_gallery(gather(layout.root, "all")).dropped == ()


def test_a_pool_that_is_gone_is_told_per_shard(tmp_path: Path) -> None:
    layout = write_real_run(tmp_path)
    select(layout.root, {"name": "top", "steps": [{"take": {"n": 60, "order": "noise_value"}}]})
    shutil.rmtree(tmp_path / "pool")
    gallery = make_gallery(gather(layout.root, "top"))
    assert sum(gallery.problems.values()) == thumbs(gallery.kept) + thumbs(gallery.dropped)
    assert len(gallery.problems) == 2
    assert all("cannot be read" in problem for problem in gallery.problems)


def test_the_shard_that_helps_most_is_streamed_first() -> None:
    bands = [np.array([1] * 4 + [2] * 9), np.array([3] * 12), np.array([1, 2])]
    assert streamed_shards(bands, {1, 2, 3}) == {2, 3}
    assert streamed_shards(bands, set()) == set()


def test_plain_shards_that_fill_a_band_need_no_stream() -> None:
    bands = [np.array([0] * PER_BAND + [7] * 50)]
    assert streamed_shards(bands, {7}) == set()


@given(st.lists(st.lists(st.integers(0, 9), max_size=40), min_size=1, max_size=6))
def test_streams_are_few_and_compressed(bands: list[list[int]]) -> None:
    compressed = {1, 3, 5, 7}
    found = streamed_shards([np.array(band, dtype=np.int64) for band in bands], compressed)
    assert found <= compressed
    assert len(found) <= MAX_STREAMED


@pytest.mark.parametrize("num_compressed", [0, 3])
def test_the_same_run_gives_the_same_gallery(tmp_path: Path, num_compressed: int) -> None:
    layout = write_real_run(tmp_path, num_compressed=num_compressed)
    select(layout.root, {"name": "top", "steps": [{"take": {"n": 60, "order": "noise_value"}}]})
    facts = gather(layout.root, "top")
    assert make_gallery(facts) == make_gallery(facts)
