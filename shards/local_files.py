"""Files of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from shards.file_info import FileInfo
from shards.storage_errors import errors_in_use, storage_errors


def absolute(path: str) -> str:
    """Absolute POSIX path, `~` and `..` resolved, symbolic links kept."""
    return Path(os.path.abspath(os.path.expanduser(path))).as_posix()


def exists(uri: str) -> bool:
    return os.path.exists(uri)


def is_dir(uri: str) -> bool:
    return os.path.isdir(uri)


def stat(uri: str) -> FileInfo:
    with storage_errors(uri, "read"):
        found = os.stat(uri)
        if os.path.isdir(uri):
            raise IsADirectoryError(uri)
    return _info(uri, found)


def list_files(uri: str, recursive: bool) -> list[FileInfo]:
    found: list[FileInfo] = []
    with storage_errors(uri, "list"), os.scandir(uri) as entries:
        for entry in entries:
            path = f"{uri.rstrip('/')}/{entry.name}"
            if entry.is_file():
                found.append(_info(path, entry.stat()))
            elif recursive and entry.is_dir(follow_symlinks=False):  # links may go round
                found.extend(list_files(path, recursive))
    return found


def list_no_files(uri: str) -> list[str]:
    """Folders, and links that lead nowhere, in a folder."""
    with storage_errors(uri, "list"), os.scandir(uri) as entries:
        paths = [f"{uri.rstrip('/')}/{entry.name}" for entry in entries]
    return [path for path in paths if is_no_file(path)]


def is_no_file(path: str) -> bool:
    """Is it a folder, or a link that leads nowhere?"""
    return os.path.isdir(path) or not os.path.exists(path)


def _info(uri: str, found: os.stat_result) -> FileInfo:
    return FileInfo(uri, found.st_size, f"{found.st_size}-{found.st_mtime_ns}")


@contextmanager
def open_stream(uri: str, offset: int) -> Iterator[BinaryIO]:
    with storage_errors(uri, "read"):
        file = open(uri, "rb")  # noqa: SIM115 (closed below, outside of this guard)
    with file, errors_in_use(uri, "read"):
        file.seek(offset)
        yield file


def read_range(uri: str, offset: int, length: int) -> bytes:
    with storage_errors(uri, "read"), open(uri, "rb") as file:
        file.seek(offset)
        return file.read(length)


def remove(uri: str) -> None:
    with storage_errors(uri, "remove"):
        Path(uri).unlink(missing_ok=True)


def make_dirs(uri: str) -> None:
    with storage_errors(uri, "make"):
        os.makedirs(uri, exist_ok=True)
