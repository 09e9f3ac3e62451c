from __future__ import annotations

import multiprocessing
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shards import atomic
from shards.errors import StorageError


def test_write_and_replace(tmp_path: Path) -> None:
    uri = str(tmp_path / "deep" / "a.bin")
    atomic.write_bytes(uri, b"one")
    atomic.write_bytes(uri, b"two")
    assert Path(uri).read_bytes() == b"two"
    assert os.listdir(tmp_path / "deep") == ["a.bin"]


def test_files_get_the_usual_permissions(tmp_path: Path) -> None:
    atomic.write_bytes(str(tmp_path / "a"), b"")
    (tmp_path / "b").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"]
    assert modes[0] == modes[1]


def _write_half(uri: str) -> None:
    with atomic.new_file(uri) as file:
        file.write(b"half")
        raise KeyboardInterrupt


def test_an_exception_leaves_what_was_there(tmp_path: Path) -> None:
    uri = str(tmp_path / "a.bin")
    for before in ([], ["a.bin"]):
        with pytest.raises(KeyboardInterrupt):
            _write_half(uri)
        assert os.listdir(tmp_path) == before
        Path(uri).write_bytes(b"whole")
    assert Path(uri).read_bytes() == b"whole"


def test_errors_of_the_writer_are_not_renamed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic.new_file(str(tmp_path / "a")):
        (tmp_path / "source that is missing").read_bytes()


def test_nothing_shows_before_the_end(tmp_path: Path) -> None:
    with atomic.new_file(str(tmp_path / "a.tar")) as file:
        file.write(b"x")
        file.flush()
        assert not (tmp_path / "a.tar").exists()
        assert all(name.startswith(".") for name in os.listdir(tmp_path))
    assert os.listdir(tmp_path) == ["a.tar"]


def test_long_names(tmp_path: Path) -> None:
    atomic.write_bytes(str(tmp_path / ("n" * 250)), b"x")
    with pytest.raises(StorageError):
        atomic.write_bytes(str(tmp_path / ("n" * 300)), b"x")


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(StorageError, match="a file stands where a folder is expected"):
        atomic.write_bytes(str(tmp_path / "a" / "b"), b"x")


def _die_while_writing(uri: str) -> None:
    with atomic.new_file(uri) as file:
        file.write(b"half")
        file.flush()
        os._exit(9)


def test_a_killed_process_leaves_no_half_file(tmp_path: Path) -> None:
    uri = str(tmp_path / "a.bin")
    process = multiprocessing.get_context("spawn").Process(target=_die_while_writing, args=(uri,))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert not os.path.exists(uri)
    atomic.write_bytes(uri, b"whole")
    assert Path(uri).read_bytes() == b"whole"


def _write_with_little_space(uri: str, found: multiprocessing.Queue) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    try:
        atomic.write_bytes(uri, b"x" * 100_000)
    except StorageError as error:
        found.put((str(error), error.retriable))


def test_a_file_size_limit(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    found: multiprocessing.Queue = context.Queue()
    uri = str(tmp_path / "a.bin")
    process = context.Process(target=_write_with_little_space, args=(uri, found))
    process.start()
    message, retriable = found.get(timeout=60)
    process.join()
    assert uri in message
    assert "Free space, then run the same command again" in message
    assert not retriable
    assert os.listdir(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small tmpfs is not allowed here")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    uri = str(small_disk / "a.bin")
    atomic.write_bytes(uri, b"before")
    with pytest.raises(StorageError, match="the disk is full") as caught:
        atomic.write_bytes(uri, os.urandom(1 << 20))
    assert uri in str(caught.value)
    assert os.listdir(small_disk) == ["a.bin"]
    assert Path(uri).read_bytes() == b"before"


def test_a_full_disk_under_parquet(small_disk: Path) -> None:
    table = pa.table({"x": [os.urandom(64) for _ in range(20_000)]})
    with (
        pytest.raises(StorageError, match="the disk is full"),
        atomic.new_file(str(small_disk / "a.parquet")) as file,
    ):
        pq.write_table(table, file)
    assert os.listdir(small_disk) == []


def test_create_exclusive_has_one_winner(tmp_path: Path) -> None:
    uri = str(tmp_path / "lock")
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda i: atomic.create_exclusive(uri, b"%d" % i), range(40)))
    assert results.count(True) == 1
    assert Path(uri).read_bytes() == b"%d" % results.index(True)
    assert os.listdir(tmp_path) == ["lock"]
