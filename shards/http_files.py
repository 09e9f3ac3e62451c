"""Files of web servers, read only, through fsspec."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from shards.errors import StorageError, UsageError
from shards.file_info import FileInfo
from shards.storage_errors import CheckedStream, as_storage_error, storage_errors

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
"""Longest silence of a server in the middle of an answer."""
STAT_TIMEOUT_S = 15.0
"""For the one or two requests that ask for a size."""
_DROP_BYTES = 1 << 20
_LISTING_THREADS = 16


@lru_cache(maxsize=1)
def _filesystem() -> Any:
    try:
        import aiohttp
        import fsspec
    except ImportError as error:
        raise UsageError(
            "reading http(s):// needs aiohttp: pip install 'coursepack[http]'"
        ) from error
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S
    )
    # "identity": a server that compressed a tar on the way would change its size and offsets.
    # trust_env: user and password of a server come from ~/.netrc, never from an address.
    headers = {"Accept-Encoding": "identity"}
    client = {"timeout": timeout, "headers": headers, "trust_env": True}
    return fsspec.filesystem("http", client_kwargs=client, simple_links=False)


def stat(uri: str) -> FileInfo:
    try:
        with storage_errors(uri, "read"):
            found = _filesystem().info(uri, timeout=STAT_TIMEOUT_S)
    except StorageError as error:
        # fsspec reports every failure as "not found" and keeps the true one as its cause.
        hidden = error.__cause__ and error.__cause__.__cause__
        if hidden is None or getattr(hidden, "status", None) in (404, 410):
            raise
        raise as_storage_error(hidden, uri, "read") from hidden
    size = found.get("size")
    num_bytes = -1 if size is None else int(size)
    etag = found.get("ETag") or f"{num_bytes}-{found.get('Last-Modified', '')}"
    return FileInfo(uri, num_bytes, str(etag))


def exists(uri: str) -> bool:
    try:
        stat(uri)
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return False
        raise
    return True


def is_dir(uri: str) -> bool:
    """By convention, for HTTP has no folders: a last component that is empty or has no dot."""
    return "." not in urlsplit(uri).path.rpartition("/")[2]


def list_files(uri: str, recursive: bool) -> list[FileInfo]:
    """The links of an index page that lead below it."""
    base = uri.rstrip("/") + "/"
    with storage_errors(uri, "list"):
        links = {entry["name"] for entry in _filesystem().ls(base, detail=True)}
    links = {link for link in links if link.startswith(base) and urlsplit(link).query == ""}
    files = sorted(link for link in links if not link.endswith("/"))
    with ThreadPoolExecutor(_LISTING_THREADS) as pool:
        found = list(pool.map(stat, files))
    for folder in sorted(links - {*files, base}) if recursive else []:
        found.extend(list_files(folder, recursive))
    return found


@contextmanager
def open_stream(uri: str, offset: int) -> Iterator[BinaryIO]:
    with storage_errors(uri, "read"):
        # block_size 0 = one plain GET; giving a size only spares fsspec a HEAD request.
        stream = _filesystem().open(uri, "rb", block_size=0, size=1)
    with CheckedStream(stream, uri) as checked:
        # Not every server has ranges; what lies before is read and dropped.
        while offset and (dropped := checked.read(min(offset, _DROP_BYTES))):
            offset -= len(dropped)
        yield cast(BinaryIO, checked)


def read_range(uri: str, offset: int, length: int) -> bytes:
    if length == 0:
        return b""
    with storage_errors(uri, "read"):
        data: bytes = _filesystem().cat_file(uri, start=offset, end=offset + length)
    if len(data) > length:  # a server without range requests sends the whole file
        data = data[offset : offset + length]
    return data


def put(uri: str, data: bytes | memoryview) -> None:
    raise UsageError(f"cannot write {uri}: http(s) is read only; give a path, s3:// or gs://")


def remove(uri: str) -> None:
    raise UsageError(f"cannot remove {uri}: http(s) places are read only")


def make_dirs(uri: str) -> None:
    raise UsageError(f"cannot make {uri}: http(s) is read only; give a path, s3:// or gs://")
