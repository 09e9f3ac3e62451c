from __future__ import annotations

import errno
import io
import os

import pytest

from shards.errors import StorageError, UsageError
from shards.storage_errors import (
    CheckedStream,
    as_storage_error,
    errors_in_use,
    storage_errors,
)


def test_a_really_full_device() -> None:
    with (
        pytest.raises(StorageError) as caught,
        errors_in_use("/mnt/run/a.tar", "write"),
        open("/dev/full", "wb") as file,
    ):
        file.write(b"x" * 100_000)
    message = str(caught.value)
    assert "/mnt/run/a.tar" in message
    assert "the disk is full. Free space, then run the same command again" in message
    assert not caught.value.retriable


@pytest.mark.parametrize(
    ("error", "message", "retriable"),
    [
        (FileNotFoundError(2, "no"), "does not exist", False),
        (PermissionError(13, "no"), "not allowed", False),
        (OSError(errno.EDQUOT, "quota"), "quota is used up. Free space", False),
        (OSError(errno.EROFS, "read only"), "the place is read-only; give another", False),
        (OSError(errno.EIO, "io"), "cannot write", True),
        (TimeoutError(), "TimeoutError", True),
        (ConnectionResetError(104, "reset"), "check that the place is reachable", True),
        (OSError("AWS Error ACCESS_DENIED during HeadObject"), "credentials", False),
        (OSError("AWS Error NO_SUCH_BUCKET during X"), "check the path", False),
        (OSError("AWS Error SLOW_DOWN (HTTP status 503)"), "try again later", True),
    ],
)
def test_what_is_raised_and_whether_to_retry(error: OSError, message: str, retriable: bool) -> None:
    found = as_storage_error(error, "s3://b/a.tar", "write")
    assert message in str(found)
    assert "s3://b/a.tar" in str(found)
    assert found.retriable is retriable


def test_numbers_in_names_are_no_status() -> None:
    error = OSError("When reading key 'shard-403-404-503.tar' in bucket 'b': connection lost")
    found = as_storage_error(error, "s3://b/shard-403-404-503.tar", "read")
    assert found.retriable
    assert "reachable" in str(found)


def test_other_errors_pass_unchanged() -> None:
    for error in (UsageError("wrong"), ValueError("bug")):
        with pytest.raises(type(error)) as caught, storage_errors("u", "read"):
            raise error
        assert caught.value is error
    with pytest.raises(FileNotFoundError), errors_in_use("u", "write"):
        os.stat("/no/such/file")  # a caller's own trouble is not this file's


class _Failing(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        raise ConnectionResetError(104, "reset")


def test_checked_stream() -> None:
    assert io.BufferedReader(CheckedStream(io.BytesIO(b"abc"), "u")).read(2) == b"ab"
    assert CheckedStream(io.BytesIO(b"abc"), "u").read() == b"abc"
    with CheckedStream(_Failing(), "s3://b/a") as stream, pytest.raises(StorageError, match="s3:"):
        stream.read(1)
    inner = io.BytesIO(b"")
    CheckedStream(inner, "u").close()
    assert inner.closed
