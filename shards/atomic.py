"""Files that are there whole or not at all: temporary name, fsync, rename; remotely one PUT."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast

from shards import storage
from shards.conditional_put import put_if_absent
from shards.storage_errors import errors_in_use, storage_errors

_SPOOL_BYTES = 64 << 20


def write_bytes(uri: str, data: bytes) -> None:
    """Write a whole file, replacing what was there in one step."""
    with new_file(uri) as file:
        file.write(data)


@contextmanager
def new_file(uri: str) -> Iterator[BinaryIO]:
    """A binary file that appears under `uri` when the block ends without an error.

    Parent folders are made. After an exception nothing is left, and what stood under the name
    before stays. Remote files are spooled on the local disk first.

    Raises:
        StorageError: nothing can be written there; a full disk says so.
    """
    uri = storage.normalize(uri)
    if storage.is_local(uri):
        with _new_local_file(uri) as file:
            yield file
        return
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as spool:
        with errors_in_use(tempfile.gettempdir(), f"write {uri} through"):
            yield cast(BinaryIO, spool)
            spool.seek(0)
        storage.put(uri, spool.read())


@contextmanager
def _new_local_file(path: str) -> Iterator[BinaryIO]:
    with storage_errors(path, "write"):
        file = _open_temporary(path)
    try:
        with errors_in_use(path, "write"), file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with storage_errors(path, "write"):
            os.replace(file.name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(file.name)
        raise
    _sync_folder(path)


def _open_temporary(path: str) -> BinaryIO:
    """A new hidden file beside `path`, so that the rename stays within one file system."""
    folder, _, base = path.rpartition("/")
    os.makedirs(folder or "/", exist_ok=True)
    temporary = f"{folder}/.{base[:150]}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    return open(temporary, "xb")


def _sync_folder(path: str) -> None:
    """Make the rename itself survive a power cut; some network file systems refuse, harmlessly."""
    with suppress(OSError):
        descriptor = os.open(os.path.dirname(path) or "/", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def create_exclusive(uri: str, data: bytes, *, settle_s: float = 0.5) -> bool:
    """Create a file that must not exist yet; True if this call created it.

    Exact on local file systems and on S3 (with boto3 installed), and the content is complete from
    the first moment on. Elsewhere the object is looked for, written, and read again after
    `settle_s`: of several writers at the same moment the last one wins. `data` must therefore
    differ between writers.

    Raises:
        StorageError: nothing can be written there.
    """
    uri = storage.normalize(uri)
    if not storage.is_local(uri):
        created = put_if_absent(uri, data)
        if created is not None:
            return created
        if storage.exists(uri):
            return False
        storage.put(uri, data)
        time.sleep(settle_s)
        return storage.read_bytes(uri) == data
    with storage_errors(uri, "write"):
        file = _open_temporary(uri)
        try:
            with file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(file.name, uri)  # fails if the name is taken, and never shows a half file
        except FileExistsError:
            return False
        finally:
            with suppress(OSError):
                os.unlink(file.name)
    _sync_folder(uri)
    return True
