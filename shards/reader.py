"""Reading a shard: samples in order with their bytes, from mapped files and from streams."""

from __future__ import annotations

import gzip
import mmap
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast

from shards import storage
from shards.errors import ShardError, StorageError
from shards.file_info import FileInfo
from shards.grouping import group_samples
from shards.sample import Member, Problem, Sample
from shards.stream import ForwardReader
from shards.tar_walk import Fetch, TarDamage, walk_with_data

__all__ = ["Sample", "ShardReader", "is_compressed", "open_shard"]

CHUNK_BYTES = 1 << 20

_KEPT_BYTES = 16 << 20
"""Of a mapped shard, behind where it is read: about what waits to be decoded."""

_DROPPED_AT_ONCE = 8 << 20
_LOOKED_BACK = 1 << 30


class ShardReader:
    """One open shard.

    Attributes:
        uri: where it lies.
        compressed: True for .tar.gz and .tgz, which have no random access.
        problems: what was found in samples [start, stop) of the latest `samples` call; complete
            when that iteration has ended.
    """

    def __init__(self, info: FileInfo, mapped: mmap.mmap | None) -> None:
        self.uri = info.uri
        self.compressed = is_compressed(info.uri)
        self.problems: list[Problem] = []
        self._info = info
        self._mapped = mapped

    def samples(
        self, start: int = 0, stop: int | None = None, *, at: int | None = None
    ) -> Iterator[Sample]:
        """Yield samples start <= index < stop; the index counts all samples of the shard.

        Samples before `start` are walked over, because only the walk knows where they end; unless
        `at` tells the offset where sample `start` begins (as `shards.survey` found it). Problems
        are then those from there on.

        Raises:
            ShardError: the file is no tar at all. Damage further in ends the iteration with a
                `Problem` and, where a sample was cut, a last `Sample` with an error.
            StorageError: the place failed while reading.
        """
        if start < 0 or (stop is not None and stop < start):
            raise ValueError(f"samples({start}, {stop}): expected 0 <= start <= stop")
        if at is not None and self.compressed:
            raise ValueError(f"{self.uri} is compressed and has no random access")
        first, begin = (0, 0) if at is None else (start, at)
        self.problems = []
        if self._mapped is not None:
            self._mapped.madvise(mmap.MADV_SEQUENTIAL)
            fetch = _fetch_mapped(self._mapped)
            yield from self._select(fetch, start, stop, first, begin)
            return
        with ForwardReader(
            lambda: _chunks(self._info, begin), shard=self.uri, begin=begin
        ) as stream:
            yield from self._select(stream.fetch, start, stop, first, begin)

    def _select(
        self, fetch: Fetch, start: int, stop: int | None, first: int, begin: int
    ) -> Iterator[Sample]:
        if stop == start:
            return
        problems = self.problems
        walked = walk_with_data(fetch, shard=self.uri, problems=problems, begin=begin)
        try:
            for sample in group_samples(walked, shard=self.uri, problems=problems, first=first):
                if sample.entry.index < start:
                    self.problems.clear()
                    continue
                yield sample
                if sample.entry.index + 1 == stop:
                    return
        except TarDamage as damage:
            raise _not_a_tar(self.uri, damage) from damage

    def read(self, member: Member) -> bytes:
        """Data of one member, without walking.

        Raises:
            StorageError: compressed shards have no random access.
            ShardError: the shard is shorter than the index says.
        """
        if self.compressed:
            raise StorageError(
                f"{self.uri} is compressed and has no random access: iterate over it, or re-shard "
                "the pool first with `coursepack shards build`"
            )
        if self._mapped is not None:
            data = self._mapped[member.offset : member.offset + member.size]
        else:
            data = storage.read_range(self.uri, member.offset, member.size)
        if len(data) < member.size:
            raise ShardError(
                f"{self.uri}: member {member.name!r} should have {member.size} bytes at "
                f"{member.offset}, found {len(data)}: the shard changed since it was indexed",
                shard=self.uri,
            )
        return data


@contextmanager
def open_shard(uri: str) -> Iterator[ShardReader]:
    """Open a shard for reading: a local .tar is mapped, everything else is streamed.

    A mapped file must not be cut short by another process while it is read; replacing it by a
    rename, as every writer here does, is safe.

    Raises:
        StorageError: missing or unreadable.
        ShardError: a directory, or a file of zero bytes.
    """
    uri = storage.normalize(uri)
    if storage.is_local(uri) and storage.is_dir(uri):
        raise ShardError(
            f"{uri} is a directory; expected a .tar file (a folder of images becomes shards with "
            "`coursepack shards build`)",
            shard=uri,
        )
    info = storage.stat(uri)
    if info.num_bytes == 0:
        raise ShardError(
            f"{uri} is empty (0 bytes); expected a tar. Write or copy it again", shard=uri
        )
    if not storage.is_local(uri) or is_compressed(uri):
        yield ShardReader(info, None)
        return
    with storage.open_stream(uri) as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        yield ShardReader(info, mapped)
    finally:
        # Samples still referenced keep the mapping alive; the last one to go closes it.
        with suppress(BufferError):
            mapped.close()


def _fetch_mapped(mapped: mmap.mmap) -> Fetch:
    """Views of a mapped shard; pages far behind the latest one leave the process.

    Else its resident memory would grow by the whole shard, which a memory limit does not forgive.
    Nothing is lost: a view that is still in use finds its pages in the system's cache, and brings
    them back in; so each time all of a stretch is dropped, also what was dropped before.
    """
    view, dropped = memoryview(mapped), 0

    def fetch(place: int, length: int) -> memoryview:
        nonlocal dropped
        behind = place - _KEPT_BYTES
        if behind - dropped >= _DROPPED_AT_ONCE:
            dropped = behind // mmap.PAGESIZE * mmap.PAGESIZE
            oldest = max(0, dropped - _LOOKED_BACK)
            mapped.madvise(mmap.MADV_DONTNEED, oldest, dropped - oldest)
        return view[place : place + length]

    return fetch


def is_compressed(uri: str) -> bool:
    """True for shards that have no random access."""
    return storage.name(uri).lower().endswith((".tar.gz", ".tgz"))


def _chunks(info: FileInfo, begin: int = 0) -> Iterator[bytes]:
    """The (uncompressed) tar in pieces, from byte `begin` on.

    All bytes before a damage are yielded before it raises.
    """
    with storage.open_stream(info.uri, begin) as stream:
        whole = _WholeStream(stream, info, begin)
        if is_compressed(info.uri):
            yield from _decompressed(gzip.GzipFile(fileobj=cast(BinaryIO, whole), mode="rb"))
            return
        while chunk := whole.read(CHUNK_BYTES):
            yield chunk


class _WholeStream:
    """A stream that ends where the listing said: a connection that is lost is no truncated tar."""

    def __init__(self, stream: BinaryIO, info: FileInfo, begin: int) -> None:
        self._stream = stream
        self._info = info
        self._received = begin

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._received += len(data)
        if not data and size and self._received < self._info.num_bytes:
            raise StorageError(
                f"{self._info.uri}: the data ended after {self._received} of "
                f"{self._info.num_bytes} bytes; run the same command again",
                retriable=True,
            )
        return data


def _decompressed(file: gzip.GzipFile) -> Iterator[bytes]:
    gathered = bytearray()
    try:
        # read1 hands out what it has before it meets the damage; read would lose it.
        while piece := file.read1(CHUNK_BYTES):
            gathered += piece
            if len(gathered) >= CHUNK_BYTES:
                yield bytes(gathered)
                gathered.clear()
    except (EOFError, OSError, zlib.error):
        yield bytes(gathered)
        raise
    yield bytes(gathered)


_MAGIC = {
    b"\x1f\x8b": "gzip data: name it .tar.gz",
    b"\x28\xb5\x2f\xfd": "zstd data: decompress it first",
    b"BZh": "bzip2 data: decompress it first",
    b"\xfd7zXZ": "xz data: decompress it first",
    b"PK\x03\x04": "a zip file: unpack it, then run `coursepack shards build` on the folder",
    b"<": "a web page or XML, perhaps a server's error message: download it again",
}


def _not_a_tar(uri: str, damage: TarDamage) -> ShardError:
    with storage.open_stream(uri) as stream:
        head = stream.read(16)
    for magic, hint in _MAGIC.items():
        if head.startswith(magic) and not is_compressed(uri):
            return ShardError(f"{uri} is not a tar but {hint}", shard=uri)
    return ShardError(
        f"{uri} is not a tar: {damage}. Write or copy it again, or leave it out", shard=uri
    )
