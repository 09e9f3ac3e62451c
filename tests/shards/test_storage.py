from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shards import storage
from shards.errors import StorageError, UsageError


def touch(path: Path, data: bytes = b"x") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


def names(specs: list[str]) -> list[str]:
    return [storage.name(info.uri) for info in storage.expand(specs)]


def test_normalize(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert storage.normalize("pool/../a.tar") == f"{tmp_path}/a.tar"
    assert storage.normalize("file:///data/a%20b.tar") == "/data/a b.tar"
    assert storage.normalize("s3://bucket/x/../y.tar") == "s3://bucket/x/../y.tar"
    assert storage.normalize("~").startswith("/")
    with pytest.raises(UsageError, match=r"ftp://x/a\.tar: unknown scheme"):
        storage.normalize("ftp://x/a.tar")


def test_join_and_name() -> None:
    assert storage.join("/run/", "scores", "a.parquet") == "/run/scores/a.parquet"
    assert storage.join("s3://b", "/x/") == "s3://b/x"
    assert storage.join("/", "a") == "/a"
    assert storage.name("/pool/a.tar") == "a.tar"
    assert storage.name("http://host/pool/a.tar?version=2") == "a.tar"
    assert storage.is_local("C.tar")
    assert not storage.is_local("gs://b/a.tar")


def test_stat_and_its_etag(tmp_path: Path) -> None:
    uri = touch(tmp_path / "a.tar", b"123")
    first = storage.stat(uri)
    assert (first.uri, first.num_bytes) == (uri, 3)
    os.utime(uri, ns=(0, time.time_ns() + 1))
    assert storage.stat(uri).etag != first.etag


def test_missing_and_folder(tmp_path: Path) -> None:
    assert not storage.exists(str(tmp_path / "no"))
    assert storage.exists(str(tmp_path))
    for call in (storage.stat, storage.read_bytes, storage.list_files):
        with pytest.raises(StorageError, match="does not exist; check the path") as caught:
            call(str(tmp_path / "no"))
        assert not caught.value.retriable
    with pytest.raises(StorageError, match="is a folder"):
        storage.stat(str(tmp_path))
    with pytest.raises(StorageError, match="a file stands where a folder"):
        storage.list_files(touch(tmp_path / "a.tar"))


@contextmanager
def not_root() -> Iterator[None]:
    """Root may read everything; be somebody else meanwhile."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_forbidden(tmp_path: Path) -> None:
    uri = touch(tmp_path / "a.tar")
    os.chmod(uri, 0)
    with not_root(), pytest.raises(StorageError, match="not allowed to read") as caught:
        storage.read_bytes(uri)
    assert uri in str(caught.value)
    assert not caught.value.retriable


def test_list_files_is_sorted_flat_and_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.tar", "a.tar", ".a.tar.123.tmp", "sub/c.tar", "notes.txt"):
        touch(tmp_path / name)
    listed = storage.list_files(str(tmp_path))
    assert [storage.name(f.uri) for f in listed] == ["a.tar", "b.tar", "notes.txt"]
    assert len(storage.list_files(str(tmp_path), ".tar", recursive=True)) == 3


def test_reading(tmp_path: Path) -> None:
    uri = touch(tmp_path / "a", b"0123456789")
    assert storage.read_bytes(uri) == b"0123456789"
    assert storage.read_range(uri, 3, 4) == b"3456"
    assert storage.read_range(uri, 8, 100) == b"89"
    with storage.open_stream(uri) as stream:
        assert stream.read(2) == b"01"


def test_errors_of_the_reader_of_a_stream_are_its_own(tmp_path: Path) -> None:
    uri = touch(tmp_path / "a")
    with pytest.raises(FileNotFoundError), storage.open_stream(uri):
        (tmp_path / "another").read_bytes()


def test_remove_and_make_dirs(tmp_path: Path) -> None:
    uri = touch(tmp_path / "a")
    storage.remove(uri)
    storage.remove(uri)
    assert not storage.exists(uri)
    storage.make_dirs(str(tmp_path / "x/y"))
    storage.make_dirs(str(tmp_path / "x/y"))
    assert storage.is_dir(str(tmp_path / "x/y"))


def test_expand_all_kinds_of_specs(tmp_path: Path) -> None:
    for name in ("p/s-000.tar", "p/s-001.tar", "p/s-002.tar.gz", "p/x.TGZ", "p/notes.json",
                 "q/s-000.tar"):  # fmt: skip
        touch(tmp_path / name)
    root = str(tmp_path)
    assert names([f"{root}/p"]) == ["s-000.tar", "s-001.tar", "s-002.tar.gz", "x.TGZ"]
    assert names([f"{root}/p/*.tar"]) == ["s-000.tar", "s-001.tar"]
    assert names([f"{root}/*/s-000.tar"]) == ["s-000.tar", "s-000.tar"]
    assert names([f"{root}/p/s-{{000..001}}.tar"]) == ["s-000.tar", "s-001.tar"]
    assert names([f"{root}/{{p,q}}"]) == ["s-000.tar", "s-001.tar", "s-002.tar.gz", "x.TGZ",
                                          "s-000.tar"]  # fmt: skip
    assert names([f"{root}/{{p,q}}/*-000.tar"]) == ["s-000.tar", "s-000.tar"]
    assert names([f"{root}/p/s-001.tar", f"{root}/p", f"file://{root}/p"]) == names([f"{root}/p"])


def test_expand_does_not_pass_over_what_is_called_like_a_shard_and_is_no_file(
    tmp_path: Path,
) -> None:
    touch(tmp_path / "a.tar")
    (tmp_path / "b.tar").mkdir()
    (tmp_path / "c.tar").symlink_to(tmp_path / "nowhere")
    (tmp_path / ".d.tar").mkdir()
    (tmp_path / "e").mkdir()
    expected = ["a.tar", "b.tar", "c.tar"]
    assert names([str(tmp_path)]) == names([f"{tmp_path}/*"]) == expected
    assert [info.num_bytes for info in storage.expand([str(tmp_path)])][1:] == [0, 0]


def test_expand_takes_existing_names_literally(tmp_path: Path) -> None:
    uri = touch(tmp_path / "odd{1}[2]*" / "a.tar")
    assert [info.uri for info in storage.expand([str(tmp_path / "odd{1}[2]*")])] == [uri]


def test_expand_tells_what_is_missing(tmp_path: Path) -> None:
    touch(tmp_path / "s-000.tar")
    with pytest.raises(StorageError, match=r"s-001\.tar does not exist"):
        storage.expand([str(tmp_path / "s-{000..001}.tar")])
    with pytest.raises(StorageError, match=r"no \.tar, \.tar\.gz or \.tgz file"):
        storage.expand([str(tmp_path / "x*.tar")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(StorageError, match="coursepack shards build"):
        storage.expand([str(tmp_path / "empty")])
    with pytest.raises(UsageError, match="is no shard"):
        storage.expand([touch(tmp_path / "a.zip")])
    with pytest.raises(UsageError, match="no shards given"):
        storage.expand([])
