"""album: pictures of any rows of a run, with what stands beside them."""

from __future__ import annotations

import shutil
from pathlib import Path

from selector.report.album import Album, load_album
from selector.report.source import open_source
from selector.selection import select
from selector.tables.schema import row_id
from tests.selector.report.real_run import CLASS_NAMES, HOSTILE, write_real_run


def album_of(folder: Path, rows: list[int], *, keep_pool: bool = True) -> Album:
    layout = write_real_run(folder, num_plain=2, num_compressed=1, per_shard=30)
    select(layout.root, {"name": "top", "steps": [{"take": {"n": 9, "order": "noise_value"}}]})
    if not keep_pool:
        shutil.rmtree(folder / "pool")
    with open_source(layout.root, "top") as source:
        return load_album(source, rows)


def test_thumbs_know_their_images_and_keep_the_order_asked_for(tmp_path: Path) -> None:
    rows = [row_id(2, 4), row_id(0, 0), row_id(1, 29)]
    album = album_of(tmp_path, [*rows, row_id(0, 0)])
    packed, hostile, failed = album.several(rows)
    assert packed.picture.uri.startswith("data:image/png")
    assert packed.shard.endswith("part-002.tar.gz")
    assert hostile.key == HOSTILE.replace("/", "_")
    assert (hostile.class_name, hostile.noise_value is not None) == (CLASS_NAMES[0], True)
    assert (failed.class_name, failed.noise_value, failed.picture.uri) == ("", None, "")
    assert list(album.problems.values()) == [1]
    assert album.num_streamed == 1
    assert not album.out_of_reach


def test_a_pool_that_has_moved_is_counted_by_reason(tmp_path: Path) -> None:
    album = album_of(tmp_path, [row_id(0, 1), row_id(1, 1), row_id(1, 2)], keep_pool=False)
    assert list(album.problems.values()) == [2, 1]
    assert all("cannot be read" in reason for reason in album.problems)


def test_no_rows_make_an_empty_album(tmp_path: Path) -> None:
    assert album_of(tmp_path, []).thumbs == {}
