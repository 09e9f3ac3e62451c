"""Turning what file systems and networks raise into `StorageError`s that say what to do."""

from __future__ import annotations

import errno
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shards.errors import CoursepackError, StorageError

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than this file system or `ulimit -f` allows",
}
_IN_USE = frozenset({*_FULL, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EREMOTEIO})
_MISSING = re.compile(r"NO_SUCH_(KEY|BUCKET)|RESOURCE_NOT_FOUND|NOT_?FOUND|\b404\b", re.I)
_FORBIDDEN = re.compile(
    r"ACCESS_DENIED|FORBIDDEN|UNAUTHORIZED|INVALID_ACCESS_KEY|SIGNATURE|credentials|OAuth2|\b40[13]\b",
    re.I,
)
_THROTTLED = re.compile(r"SLOW_DOWN|THROTTL|TOO_MANY|\b(429|500|502|503|504)\b", re.I)
_QUOTED = re.compile(r"'[^']*'")  # names of keys and buckets, which may hold any word or number


@contextmanager
def storage_errors(uri: str, doing: str) -> Iterator[None]:
    """Raise `StorageError` in place of any OSError and network error of the body.

    The body must touch this one place only, never run a caller's code.

    Args:
        uri: the place, for the message.
        doing: "read", "write", "list"..., for the message.
    """
    try:
        yield
    except CoursepackError:
        raise
    except OSError as error:
        raise as_storage_error(error, uri, doing) from error
    except Exception as error:
        # Network libraries raise their own families (aiohttp's are no OSErrors).
        if type(error).__module__.partition(".")[0] not in ("aiohttp", "fsspec", "asyncio"):
            raise
        raise as_storage_error(error, uri, doing) from error


@contextmanager
def errors_in_use(uri: str, doing: str) -> Iterator[None]:
    """As `storage_errors`, around a caller's code that uses an open local file.

    Only what reading and writing an open file can raise is taken as this file's; a missing file
    or a lost connection in the same block is somebody else's.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _IN_USE:
            raise
        raise as_storage_error(error, uri, doing) from error


def as_storage_error(error: BaseException, uri: str, doing: str) -> StorageError:
    """The `StorageError` for one failure: what was found, and the cure."""
    number = getattr(error, "errno", None)
    text = str(error) or type(error).__name__
    text = text if len(text) <= 400 else f"{text[:400]}..."  # cloud clients repeat themselves
    if number in _FULL:
        return StorageError(
            f"cannot {doing} {uri}: {_FULL[number]}. Free space, then run the same command again",
            disk_full=True,
        )
    if isinstance(error, FileNotFoundError):
        return StorageError(f"{uri} does not exist; check the path")
    if isinstance(error, IsADirectoryError):
        return StorageError(f"cannot {doing} {uri}: it is a folder, expected a file")
    if isinstance(error, NotADirectoryError | FileExistsError):
        return StorageError(f"cannot {doing} {uri}: a file stands where a folder is expected")
    if number == errno.EROFS:
        return StorageError(f"cannot {doing} {uri}: the place is read-only; give another one")
    words = _QUOTED.sub("", text)
    status = getattr(error, "status", None)
    if isinstance(error, PermissionError) or status in (401, 403) or _FORBIDDEN.search(words):
        return StorageError(
            f"not allowed to {doing} {uri} ({text}); check permissions and credentials"
        )
    if _MISSING.search(words):
        return StorageError(f"{uri} does not exist ({text}); check the path")
    if _THROTTLED.search(words) or (isinstance(status, int) and status >= 500):
        return StorageError(
            f"cannot {doing} {uri}: the server is overloaded ({text}); try again later",
            retriable=True,
        )
    retriable = number not in (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)
    return StorageError(
        f"cannot {doing} {uri} ({type(error).__name__}: {text}); check that the place is "
        "reachable, then run the same command again",
        retriable=retriable,
    )


class CheckedStream(io.RawIOBase):
    """A remote stream whose read errors are `StorageError`s; a caller's own errors are not."""

    def __init__(self, stream: Any, uri: str) -> None:
        super().__init__()
        self._stream = stream
        self._uri = uri

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, b"" only at the end; all of them for a negative size."""
        with storage_errors(self._uri, "read"):
            return bytes(self._stream.read(size))

    def readall(self) -> bytes:
        return self.read(-1)

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._stream.close()
