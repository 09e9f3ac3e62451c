"""Objects of S3 (and what speaks its protocol) and Google Cloud Storage, through pyarrow.fs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from shards.file_info import FileInfo
from shards.storage_errors import CheckedStream, storage_errors

CONNECT_TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 15.0
"""Longest silence of a server; a request is tried three times."""
GCS_RETRIES_S = 15.0


def open_filesystem(uri: str) -> tuple[Any, str]:
    """(pyarrow filesystem, path in it) of an s3:// or gs:// URI.

    Credentials are the standard ones of each cloud (environment, profile files, instance role).
    Another server of the same protocol is named as for the clouds' own tools, by
    AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, and by STORAGE_EMULATOR_HOST (without credentials).
    """
    scheme, _, path = uri.partition("://")
    with storage_errors(uri, "open"):
        if scheme.lower() == "gs":
            return _gcs(os.environ.get("STORAGE_EMULATOR_HOST", "")), path.rstrip("/")
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if not region and not endpoint:
            region = _region(path.partition("/")[0])
        return _s3(endpoint or "", region or None), path.rstrip("/")


@lru_cache(maxsize=64)
def _region(bucket: str) -> str:
    """Where a bucket lives; asked without credentials."""
    from pyarrow.fs import resolve_s3_region

    return str(resolve_s3_region(bucket))


@lru_cache(maxsize=8)
def _s3(endpoint: str, region: str | None) -> Any:
    from pyarrow.fs import S3FileSystem

    place = urlsplit(endpoint)
    return S3FileSystem(
        region=region,
        scheme=place.scheme or None,
        endpoint_override=place.netloc or None,
        connect_timeout=CONNECT_TIMEOUT_S,
        request_timeout=REQUEST_TIMEOUT_S,
        background_writes=False,
        allow_delayed_open=True,  # small objects then go in one PUT, not as a multipart upload
    )


@lru_cache(maxsize=8)
def _gcs(emulator: str) -> Any:
    from pyarrow.fs import GcsFileSystem

    # Left to itself it retries for a quarter of an hour before it says a word.
    limit = timedelta(seconds=GCS_RETRIES_S)
    if not emulator:
        return GcsFileSystem(retry_time_limit=limit)
    place = urlsplit(emulator if "://" in emulator else f"http://{emulator}")
    return GcsFileSystem(
        anonymous=True,
        scheme=place.scheme,
        endpoint_override=place.netloc,
        retry_time_limit=limit,
    )


def stat(uri: str) -> FileInfo:
    filesystem, path = open_filesystem(uri)
    with storage_errors(uri, "read"):
        found = filesystem.get_file_info(path)
        if not found.is_file:
            raise FileNotFoundError(uri)
    return _info(uri.partition("://")[0], found)


def exists(uri: str) -> bool:
    from pyarrow.fs import FileType

    return bool(_type(uri) != FileType.NotFound)


def is_dir(uri: str) -> bool:
    from pyarrow.fs import FileType

    return bool(_type(uri) == FileType.Directory)


def _type(uri: str) -> Any:
    filesystem, path = open_filesystem(uri)
    with storage_errors(uri, "read"):
        return filesystem.get_file_info(path).type


def list_files(uri: str, recursive: bool) -> list[FileInfo]:
    from pyarrow.fs import FileSelector

    filesystem, path = open_filesystem(uri)
    with storage_errors(uri, "list"):
        found = filesystem.get_file_info(FileSelector(path, recursive=recursive))
    return [_info(uri.partition("://")[0], info) for info in found if info.is_file]


def _info(scheme: str, found: Any) -> FileInfo:
    return FileInfo(
        f"{scheme}://{found.path}", int(found.size), f"{found.size}-{found.mtime_ns or 0}"
    )


@contextmanager
def open_stream(uri: str, offset: int) -> Iterator[BinaryIO]:
    filesystem, path = open_filesystem(uri)
    with storage_errors(uri, "read"):
        if offset:
            stream = filesystem.open_input_file(path)
            stream.seek(offset)
        else:
            # Left to itself, Arrow unpacks and packs whatever is called .gz.
            stream = filesystem.open_input_stream(path, compression=None)
    with CheckedStream(stream, uri) as checked:
        yield cast(BinaryIO, checked)


def read_range(uri: str, offset: int, length: int) -> bytes:
    filesystem, path = open_filesystem(uri)
    with storage_errors(uri, "read"), filesystem.open_input_file(path) as file:
        return bytes(file.read_at(length, offset))


def put(uri: str, data: bytes | memoryview) -> None:
    """One write call: an interrupt cannot leave the object half uploaded under its name."""
    import pyarrow as pa

    filesystem, path = open_filesystem(uri)
    with (
        storage_errors(uri, "write"),
        filesystem.open_output_stream(path, compression=None) as stream,
    ):
        stream.write(pa.py_buffer(data))


def remove(uri: str) -> None:
    filesystem, path = open_filesystem(uri)
    with storage_errors(uri, "remove"):
        if filesystem.get_file_info(path).is_file:
            filesystem.delete_file(path)


def make_dirs(uri: str) -> None:
    """Object stores have no folders: a key may contain slashes from the start."""
