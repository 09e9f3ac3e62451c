"""Places that hold files: local paths, s3:// and gs://, http(s)://; one set of functions for all.

Every function raises `StorageError` with the URI, what was found and what to do; `retriable` says
whether trying again can help.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from shards import http_files, local_files, object_store
from shards.credentials import refuse_credentials, without_credentials
from shards.errors import StorageError, UsageError
from shards.file_info import FileInfo
from shards.patterns import expand_braces, has_wildcard, matches, split_at_wildcard

SHARD_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_LISTING_THREADS = 16
_NO_FILE = "no file"
"""Etag of what is called like a shard and is a folder, or a link that leads nowhere."""


class Backend(Protocol):
    """What a kind of place can do; each is a module of functions."""

    def stat(self, uri: str) -> FileInfo: ...
    def exists(self, uri: str) -> bool: ...
    def is_dir(self, uri: str) -> bool: ...
    def list_files(self, uri: str, recursive: bool) -> list[FileInfo]: ...
    def open_stream(self, uri: str, offset: int) -> AbstractContextManager[BinaryIO]: ...
    def read_range(self, uri: str, offset: int, length: int) -> bytes: ...
    def remove(self, uri: str) -> None: ...
    def make_dirs(self, uri: str) -> None: ...


_BACKENDS: dict[str, Backend] = {
    "file": local_files,
    "s3": object_store,
    "gs": object_store,
    "http": http_files,
    "https": http_files,
}


def scheme(uri: str) -> str:
    """What stands before `://`, "file" for local paths."""
    head, separator, _ = uri.partition("://")
    return head.lower() if separator and head.isalnum() else "file"


def backend(uri: str) -> Backend:
    """The module that serves this URI; UsageError for a scheme that none serves."""
    try:
        return _BACKENDS[scheme(uri)]
    except KeyError:
        known = ", ".join(f"{name}://" for name in _BACKENDS)
        shown = without_credentials(uri)
        raise UsageError(f"{shown}: unknown scheme; expected a local path or {known}") from None


def is_local(uri: str) -> bool:
    """True for paths of this machine's file systems."""
    return scheme(uri) == "file"


def normalize(uri: str) -> str:
    """Local paths become absolute POSIX paths without file://; remote URIs stay as they are.

    Raises:
        UsageError: an unknown scheme, or a URI with a secret in it (see `shards.credentials`).
    """
    backend(uri)
    if not is_local(uri):
        refuse_credentials(uri)
        return uri
    if uri.lower().startswith("file://"):
        uri = unquote(urlsplit(uri).path)
    return local_files.absolute(uri)


def join(base: str, *parts: str) -> str:
    """Join with single slashes; `parts` never replace the base."""
    return "/".join([base.rstrip("/") or "", *(part.strip("/") for part in parts)])


def name(uri: str) -> str:
    """The last component."""
    path = uri if is_local(uri) else urlsplit(uri).path
    return path.rstrip("/").rpartition("/")[2]


def stat(uri: str) -> FileInfo:
    """Size and etag of a file; StorageError when there is none."""
    uri = normalize(uri)
    return backend(uri).stat(uri)


def exists(uri: str) -> bool:
    """True for a file or a folder; raises only when the place cannot be asked."""
    uri = normalize(uri)
    return backend(uri).exists(uri)


def is_dir(uri: str) -> bool:
    """True for a folder (an object store has a folder where there is something below it)."""
    uri = normalize(uri)
    return backend(uri).is_dir(uri)


def list_files(uri: str, suffix: str = "", *, recursive: bool = False) -> list[FileInfo]:
    """Files in a folder, sorted by URI; hidden ones (such as unfinished writes) are left out."""
    uri = normalize(uri)
    found = backend(uri).list_files(uri, recursive)
    wanted = [f for f in found if f.uri.endswith(suffix) and not name(f.uri).startswith(".")]
    return sorted(wanted, key=lambda info: info.uri)


def expand(specs: Sequence[str]) -> list[FileInfo]:
    """Shards (.tar, .tar.gz, .tgz) that the specs name, sorted by URI, each once.

    A spec is a file, a folder, a glob (`pool/*.tar`), or a brace pattern
    (`s3://bucket/{train,extra}-{000..012}.tar`).

    A folder, or a link that leads nowhere, that is called like a shard stands among them with 0
    bytes: `open_shard` refuses it by name.

    Raises:
        StorageError: a spec that names nothing, a missing file of a brace pattern.
        UsageError: a file that is no shard by its name.
    """
    found: dict[str, FileInfo] = {}
    for spec in specs:
        for info in _expand_one(spec):
            found[info.uri] = info
    if not found:
        raise UsageError("no shards given; expected a folder, a file, a glob or a brace pattern")
    return [found[uri] for uri in sorted(found)]


def _expand_one(spec: str) -> list[FileInfo]:
    if is_local(spec) and local_files.exists(normalize(spec)):
        patterns = [normalize(spec)]  # a real path wins, whatever characters it has
    else:
        patterns = [normalize(pattern) for pattern in expand_braces(spec)]
    if len(patterns) == 1:
        return _resolve(patterns[0])
    with ThreadPoolExecutor(_LISTING_THREADS) as pool:
        return [info for infos in pool.map(_resolve, patterns) for info in infos]


def _resolve(pattern: str) -> list[FileInfo]:
    """Shards named by one path without braces."""
    local = is_local(pattern)
    # The ? of a web address starts its query.
    path = urlsplit(pattern).path if scheme(pattern) in ("http", "https") else pattern
    if has_wildcard(path) and not (local and local_files.exists(pattern)):
        found = [info for info in _matching(pattern) if _is_shard(info.uri)]
    elif _is_shard(pattern) and not (local and is_dir(pattern)):
        return [stat(pattern)]
    elif is_dir(pattern):
        found = [info for info in list_files(pattern) if _is_shard(info.uri)]
        found += [info for info in _no_files_in(pattern) if _is_shard(info.uri)]
    else:
        stat(pattern)  # one that is missing is told as missing
        raise UsageError(f"{pattern} is no shard: expected a name in .tar, .tar.gz or .tgz")
    if not found:
        raise StorageError(
            f"{pattern}: no .tar, .tar.gz or .tgz file there; check the path, or make shards with "
            "`coursepack shards build`"
        )
    return found


def _matching(pattern: str) -> list[FileInfo]:
    """Files that a glob matches."""
    if is_local(pattern):
        paths = glob.glob(pattern, recursive=True)
        return [
            FileInfo(path, 0, _NO_FILE) if local_files.is_no_file(path) else local_files.stat(path)
            for path in paths
        ]
    folder, rest = split_at_wildcard(pattern)
    candidates = list_files(folder, recursive="/" in rest)
    return [info for info in candidates if matches(info.uri, pattern)]


def _no_files_in(uri: str) -> list[FileInfo]:
    """What is no file in a local folder: if it is called x.tar, it must not be passed over."""
    if not is_local(uri):
        return []
    found = [path for path in local_files.list_no_files(uri) if not name(path).startswith(".")]
    return [FileInfo(path, 0, _NO_FILE) for path in found]


def _is_shard(uri: str) -> bool:
    return name(uri).lower().endswith(SHARD_SUFFIXES)


def read_bytes(uri: str) -> bytes:
    """The whole file."""
    with open_stream(uri) as stream:
        pieces = []
        while piece := stream.read(1 << 24):
            pieces.append(piece)
    return b"".join(pieces)


def read_range(uri: str, offset: int, length: int) -> bytes:
    """`length` bytes at `offset`; fewer only at the end of the file."""
    uri = normalize(uri)
    return backend(uri).read_range(uri, offset, length)


def open_stream(uri: str, offset: int = 0) -> AbstractContextManager[BinaryIO]:
    """The file's bytes from `offset` on, in order.

    `read(n)` may return fewer than n, and b"" only at the end.
    """
    uri = normalize(uri)
    return backend(uri).open_stream(uri, offset)


def put(uri: str, data: bytes | memoryview) -> None:
    """Write a whole remote object; local files are written through `shards.atomic`."""
    if is_local(uri):
        raise ValueError(f"{uri}: put is for remote objects")
    place = object_store if scheme(uri) in ("s3", "gs") else http_files
    place.put(uri, data)


def remove(uri: str) -> None:
    """Delete a file; one that is already gone is no error."""
    uri = normalize(uri)
    backend(uri).remove(uri)


def make_dirs(uri: str) -> None:
    """Make a folder and its parents; object stores need none."""
    uri = normalize(uri)
    backend(uri).make_dirs(uri)
