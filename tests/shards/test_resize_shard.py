from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from shards import storage
from shards.decode import probe_size
from shards.resize_image import Resizing
from shards.resize_shard import ResizedShard, resize_shard
from tests.support import images
from tests.support.tars import header_offsets, samples_tar, tar_bytes, write_tar


def resized(tmp_path: Path, tar: bytes, how: Resizing, name: str = "in.tar") -> ResizedShard:
    source = storage.stat(write_tar(tmp_path / name, tar))
    return resize_shard(source, str(tmp_path / "out" / "made.tar"), how)


def content(path: str) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        found = {}
        for member in tar:
            stream = tar.extractfile(member)
            assert stream is not None
            found[member.name] = stream.read()
        return found


@pytest.mark.parametrize("name", ["in.tar", "in.tar.gz"])
def test_images_shrink_and_other_members_stay(tmp_path: Path, name: str) -> None:
    small = images.jpeg(images.picture(10, 12))
    tar = samples_tar(
        {
            "d/a": {"json": b"{}", "JPEG": images.jpeg(), "txt": b"words"},
            "b": {"png": images.png(), "cls": b"7"},
            "c": {"jpg": small},
        }
    )
    done = resized(tmp_path, tar, Resizing(short_side=16), name)
    found = content(done.shard)
    assert list(found) == ["d/a.json", "d/a.JPEG", "d/a.txt", "b.jpg", "b.cls", "c.jpg"]
    assert (found["d/a.json"], found["d/a.txt"], found["b.cls"]) == (b"{}", b"words", b"7")
    assert probe_size(found["d/a.JPEG"]) == probe_size(found["b.jpg"]) == (21, 16)
    assert found["c.jpg"] == small
    assert (done.samples, done.unchanged, done.problems) == (3, 1, ())
    assert done.num_bytes_in == (tmp_path / name).stat().st_size
    assert done.num_bytes_out == Path(done.shard).stat().st_size


def test_what_cannot_be_resized_is_left_out_and_told(tmp_path: Path) -> None:
    tar = samples_tar(
        {
            "text": {"jpg": images.TEXT},
            "cut": {"jpg": images.jpeg()[:-30]},
            "bomb": {"png": images.bomb_png()},
            "none": {"txt": b"1"},
            "../evil": {"jpg": images.jpeg()},
            "good": {"jpg": images.jpeg()},
        }
    )
    done = resized(tmp_path, tar, Resizing(exact=8))
    assert list(content(done.shard)) == ["good.jpg"]
    left_out = {(p.member, p.kind) for p in done.problems if "left out" in p.detail}
    assert left_out == {
        ("text.jpg", "undecodable"),
        ("cut.jpg", "undecodable"),
        ("bomb.png", "too_large"),
        ("none", "no_image"),
        ("../evil", "left_out"),
    }


def test_a_name_that_is_taken_already(tmp_path: Path) -> None:
    tar = samples_tar({"a": {"jpg": images.jpeg(), "png": images.png()}})
    done = resized(tmp_path, tar, Resizing(exact=8, encoding="png"))
    assert [(p.kind, p.member) for p in done.problems] == [("name_taken", "a")]
    assert done.shard == ""
    done = resized(tmp_path, tar, Resizing(exact=8))
    assert list(content(done.shard)) == ["a.jpg", "a.png"]


def test_samples_of_one_key_do_not_melt_into_one(tmp_path: Path) -> None:
    tar = tar_bytes(
        [
            ("a.jpg", images.jpeg()),
            ("b.jpg", images.TEXT),
            ("a.png", images.png()),
            ("a.png", images.png()),
        ]
    )
    done = resized(tmp_path, tar, Resizing(exact=8))
    assert list(content(done.shard)) == ["a.jpg", "a-2.jpg", "a-3.jpg"]
    assert [p.detail for p in done.problems if p.kind == "renamed_key"] == [
        "written as 'a-2'",
        "written as 'a-3'",
    ]


def test_damaged_shards_give_what_is_whole(tmp_path: Path) -> None:
    tar = samples_tar({f"k{n}": {"jpg": images.jpeg()} for n in range(4)})
    done = resized(tmp_path, tar[: header_offsets(tar)[2] - 600], Resizing(exact=8))
    assert done.samples == 1
    assert {"truncated", "left_out"} <= {problem.kind for problem in done.problems}
    for damaged in (b"", images.TEXT * 20, tar_bytes([])):
        done = resized(tmp_path, damaged, Resizing(exact=8))
        assert (done.shard, done.samples, done.num_bytes_out) == ("", 0, 0)
        assert len(done.problems) == 1
        assert list((tmp_path / "out").iterdir()) == []
