"""Writing shards: the same samples give the same bytes, and a shard is whole or absent."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import BinaryIO

from shards import storage
from shards.atomic import new_file
from shards.errors import UsageError
from shards.sample import Data, is_hidden, is_safe_name, split_name
from shards.tar_header import BLOCK

END_OF_ARCHIVE = bytes(2 * BLOCK)
MAX_NAME_BYTES = 4096
"""What file systems take as a path."""


def member_header(name: str, size: int) -> bytes:
    """The tar header of a regular file, free of time, owner and machine.

    Plain ustar where the name allows, with a pax header before it for long or non-ASCII names
    and for sizes from 8 GiB on.
    """
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def padding(size: int) -> bytes:
    """Zeros that fill the last block of a member's data."""
    return bytes(-size % BLOCK)


class ShardWriter:
    """Writes samples into `<out_dir>/<prefix>-000000.tar`, ...; use it as a context manager.

    A new shard is begun when the current one has `max_count` samples or would grow beyond
    `max_bytes` (a single larger sample gets a shard of its own). Leaving the block with an
    exception drops the unfinished shard; finished ones stay.

    Attributes:
        paths: the finished shards, in order.
    """

    def __init__(
        self,
        out_dir: str,
        *,
        prefix: str = "shard",
        max_count: int = 10_000,
        max_bytes: int = 1 << 30,
    ) -> None:
        if max_count < 1 or max_bytes < 1:
            raise ValueError(f"max_count {max_count} and max_bytes {max_bytes} must be positive")
        if not prefix or "/" in prefix or prefix.startswith("."):
            raise UsageError(f"prefix {prefix!r}: expected a plain file name without slashes")
        self.paths: list[str] = []
        self._out_dir = storage.normalize(out_dir)
        self._prefix = prefix
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._last_key: str | None = None
        self._open_shard = ExitStack()
        self._file: BinaryIO | None = None
        self._count = 0
        self._num_bytes = 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._finish_shard()
        else:
            self._file = None
            self._open_shard.__exit__(kind, error, trace)

    def write(self, key: str, members: Mapping[str, Data]) -> None:
        """Append one sample; members are written in the order given.

        Args:
            key: member name up to the first dot; folders allowed.
            members: extension (without its dot) -> bytes.

        Raises:
            UsageError: a key or extension that would be read back differently, an unsafe name,
                no members, or the key of the sample just before.
            StorageError: the place cannot be written.
        """
        named = _named_members(key, members)
        if key == self._last_key:
            raise UsageError(f"key {key!r} twice in a row: the two would be read as one sample")
        encoded = [(member_header(name, len(data)), data) for name, data in named]
        total = sum(len(header) + len(data) + -len(data) % BLOCK for header, data in encoded)
        if self._count and (
            self._count >= self._max_count
            or self._num_bytes + total + len(END_OF_ARCHIVE) > self._max_bytes
        ):
            self._finish_shard()
        if self._file is None:
            self._file = self._open_shard.enter_context(new_file(self._path()))
        for header, data in encoded:
            self._file.write(header)
            self._file.write(data)
            self._file.write(padding(len(data)))
        self._last_key = key
        self._count += 1
        self._num_bytes += total

    def _path(self) -> str:
        return storage.join(self._out_dir, f"{self._prefix}-{len(self.paths):06d}.tar")

    def _finish_shard(self) -> None:
        if self._file is None:
            return
        self._file.write(END_OF_ARCHIVE)
        self._file = None
        path = self._path()
        self._open_shard.close()
        self.paths.append(path)
        self._count = self._num_bytes = 0


def _named_members(key: str, members: Mapping[str, Data]) -> list[tuple[str, Data]]:
    """Member names, after checking that reading gives back the same key and extensions."""
    if not members:
        raise UsageError(f"sample {key!r} has no members")
    if len({extension.lower() for extension in members}) != len(members):
        raise UsageError(f"sample {key!r} has an extension twice: {sorted(members)}")
    named = []
    for extension, data in members.items():
        name = f"{key}.{extension}"
        if not extension or extension[0] == "." or "/" in extension:
            raise UsageError(f"sample {key!r}: extension {extension!r}, expected one like 'jpg'")
        if split_name(name)[0] != key:
            raise UsageError(
                f"key {key!r} would be read back as {split_name(name)[0]!r}: the base name of a "
                "key must not contain dots"
            )
        if is_hidden(key) or not is_safe_name(name):
            raise UsageError(f"unsafe or hidden member name {name!r}: expected a relative path")
        try:
            too_long = len(name.encode()) > MAX_NAME_BYTES
        except UnicodeEncodeError as error:
            raise UsageError(f"member name {name!r} cannot be encoded: {error}") from error
        if too_long:
            raise UsageError(f"member name {name[:80]!r}... is longer than {MAX_NAME_BYTES} bytes")
        named.append((name, data))
    return named
