"""Reading a file that comes as a stream: a thread reads ahead, the consumer moves forward only."""

from __future__ import annotations

import gzip
import queue
import threading
import zlib
from collections.abc import Callable, Iterator
from types import TracebackType

from shards.tar_walk import TarDamage

CHUNKS_AHEAD = 16
"""At most this many chunks wait in memory."""

MAX_STREAMED_MEMBER = 2 << 30
"""Bytes of one member that may be held in memory; mapped local shards have no such limit."""

_END = b""


class ForwardReader:
    """`fetch(offset, length)` with growing offsets over chunks that a thread reads ahead.

    Errors of the stream reach the consumer at the byte where they happened; whatever came before
    is delivered first. A compressed stream that ends early or fails its checksum is `TarDamage`.

    Args:
        begin: offset of the first byte of the chunks.
    """

    def __init__(
        self, chunks: Callable[[], Iterator[bytes]], *, shard: str, begin: int = 0
    ) -> None:
        self._shard = shard
        self._chunks: queue.Queue[bytes | BaseException] = queue.Queue(CHUNKS_AHEAD)
        self._stop = threading.Event()
        self._held = bytearray()  # bytes from self._start on
        self._start = begin
        self._ended = False
        self._failure: BaseException | None = None
        # A daemon: a thread that hangs in a dead file system must not keep the process alive.
        self._thread = threading.Thread(
            target=self._read_ahead, args=(chunks,), name="shard-read-ahead", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> ForwardReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=1.0)

    def fetch(self, offset: int, length: int) -> bytes:
        """Bytes at `offset`, which must not lie before an earlier call's; fewer at the end.

        Raises:
            TarDamage: the stream is damaged exactly at `offset`.
            StorageError: the source failed.
        """
        if length > MAX_STREAMED_MEMBER:
            raise TarDamage(
                f"a member of {length} bytes at byte {offset} is too large to be streamed; "
                "copy the shard to a local disk, uncompressed",
                shard=self._shard,
                kind="unsupported_tar",
                offset=offset,
            )
        while offset > self._start:
            if not self._held and not self._receive():
                break
            drop = min(offset - self._start, len(self._held))
            del self._held[:drop]
            self._start += drop
        while len(self._held) < length and self._receive():
            pass
        if self._failure is not None and len(self._held) < length:
            if not isinstance(self._failure, (EOFError, zlib.error, gzip.BadGzipFile)):
                raise self._failure
            if not self._held:
                raise self._as_damage(self._failure)
        taken = bytes(memoryview(self._held)[:length])
        del self._held[:length]
        self._start += len(taken)
        return taken

    def _as_damage(self, error: BaseException) -> TarDamage:
        truncated = isinstance(error, EOFError)
        return TarDamage(
            f"the compressed stream {'ends early' if truncated else 'is damaged'} "
            f"at byte {self._start} of the tar ({error})",
            shard=self._shard,
            kind="truncated" if truncated else "corrupt",
            offset=self._start,
        )

    def _receive(self) -> bool:
        """Take one chunk; False at the end of the stream."""
        if self._ended:
            return False
        item = self._chunks.get()
        if isinstance(item, BaseException):
            self._failure, self._ended = item, True
        elif item == _END:
            self._ended = True
        else:
            self._held += item
        return not self._ended

    def _read_ahead(self, chunks: Callable[[], Iterator[bytes]]) -> None:
        try:
            for chunk in chunks():
                if chunk and not self._put(chunk):
                    return
            self._put(_END)
        except BaseException as error:  # the consumer re-raises it: nothing may die in a thread
            self._put(error)

    def _put(self, item: bytes | BaseException) -> bool:
        """Queue an item; False when the consumer is gone."""
        while not self._stop.is_set():
            try:
                self._chunks.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
