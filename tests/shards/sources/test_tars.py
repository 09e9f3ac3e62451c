from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from shards.errors import StorageError
from shards.sources.tars import tars_source
from tests.support import images
from tests.support.tars import tar_bytes


def test_all_members_in_order_of_shards(tmp_path: Path) -> None:
    first = [("b/x.jpg", b"one"), ("b/x.json", b"{}"), ("a.seg.PNG", b"two")]
    (tmp_path / "s-1.tar").write_bytes(tar_bytes(first))
    (tmp_path / "s-2.tar.gz").write_bytes(gzip.compress(tar_bytes([("c.jpg", b"three")])))
    source = tars_source([str(tmp_path)])
    records = [(key, {e: bytes(d) for e, d in members.items()}) for key, members in source.records]
    assert records == [
        ("b/x", {"jpg": b"one", "json": b"{}"}),
        ("a", {"seg.PNG": b"two"}),
        ("c", {"jpg": b"three"}),
    ]
    assert source.problems == []


def test_a_key_that_returns_at_once_gets_a_number(tmp_path: Path) -> None:
    (tmp_path / "s-1.tar").write_bytes(tar_bytes([("a.jpg", b"1"), ("a.jpg", b"2")]))
    (tmp_path / "s-2.tar").write_bytes(
        tar_bytes([("a.jpg", b"3"), ("b.jpg", b"4"), ("a.jpg", b"5")])
    )
    source = tars_source([str(tmp_path)])
    assert [key for key, _ in source.records] == ["a", "a-2", "a-3", "b", "a"]
    assert sum(problem.kind == "renamed_key" for problem in source.problems) == 2


def test_damaged_samples_and_shards_are_told(tmp_path: Path) -> None:
    whole = tar_bytes([("a.jpg", images.jpeg()), ("b.jpg", images.jpeg())])
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2 - 3000])
    (tmp_path / "evil.tar").write_bytes(
        tar_bytes([("../up.jpg", b"1"), ("bare", b"2"), ("c.jpg", b"3")])
    )
    (tmp_path / "text.tar").write_bytes(images.TEXT * 100)
    (tmp_path / "void.tar").write_bytes(b"")
    source = tars_source([str(tmp_path)])
    assert [key for key, _ in source.records][-1] == "c"
    told = [(Path(problem.shard).name, problem.kind) for problem in source.problems]
    assert told.count(("evil.tar", "left_out")) == 2
    for expected in (
        ("cut.tar", "truncated"),
        ("evil.tar", "unsafe_name"),
        ("text.tar", "unreadable_shard"),
        ("void.tar", "unreadable_shard"),
    ):
        assert expected in told


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        tars_source([str(tmp_path / "none")])
