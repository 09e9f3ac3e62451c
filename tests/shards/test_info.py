from __future__ import annotations

import json
from pathlib import Path

import pytest

from shards.errors import StorageError
from shards.info import info
from tests.support import images
from tests.support.tars import samples_tar, tar_bytes, write_tar


def test_counts_sizes_and_extensions(tmp_path: Path) -> None:
    sides = [(20, 30), (40, 33), (40, 64), (300, 200)]
    jpegs = [images.jpeg(images.picture(*side)) for side in sides]
    write_tar(
        tmp_path / "s-0.tar",
        samples_tar({f"a{n}": {"jpg": d, "json": b"{}"} for n, d in enumerate(jpegs)}),
    )
    write_tar(tmp_path / "s-1.tgz", samples_tar({"b": {"PNG": images.png(images.picture(20, 5))}}))
    found = info([str(tmp_path)])
    assert json.loads(json.dumps(found)) == found
    assert (found["shards"], found["samples"], found["images"]) == (2, 5, 5)
    assert found["num_bytes"] == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert found["extensions"] == {"jpg": 4, "json": 4, "png": 1}
    assert found["width"] == {"min": 5, "median": 33, "mean": 66.4, "max": 200}
    assert found["height"] == {"min": 20, "median": 40, "mean": 84.0, "max": 300}
    assert found["short_sides"] == {"1-15": 1, "16-31": 1, "32-63": 2, "128-255": 1}
    assert found["image_bytes"]["max"] == max(map(len, jpegs))
    assert (found["unreadable_images"], found["problems"]) == (0, {})


def test_odd_shards_are_counted_not_raised(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", samples_tar({"x": {"jpg": images.TEXT}, "y": {"txt": b"1"}}))
    write_tar(tmp_path / "b.tar", images.TEXT * 30)
    write_tar(tmp_path / "c.tar", tar_bytes([]))
    (tmp_path / "d.tar").mkdir()
    (tmp_path / "e.tar").symlink_to(tmp_path / "nowhere")
    seen: list[str] = []
    found = info([str(tmp_path)], on_shard=seen.append)
    assert (found["samples"], found["images"], found["unreadable_images"]) == (2, 1, 1)
    assert found["problems"] == {"empty": 1, "not_a_shard": 2, "read_error": 1}
    assert (found["width"], found["short_sides"]) == ({}, {})
    assert len(seen) == 5


def test_a_bomb_is_described_not_decoded(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", samples_tar({"x": {"png": images.bomb_png()}}))
    assert info([str(tmp_path)])["short_sides"] == {"4096+": 1}


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        info([str(tmp_path)])
