"""One process at a time per run folder; the lock dies with its holder, however that ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shards.errors import StorageError, UsageError


@contextmanager
def lock_folder(folder: Path, *, doing: str = "training") -> Iterator[None]:
    """Hold FOLDER/lock while the block runs; the folder is made when missing.

    The kernel releases the lock of a killed process, so no stale lock has to be cleaned up.

    Raises:
        UsageError: another process holds it.
        StorageError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be used as the run's folder ({error.strerror}); give another out"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"{folder}: another process is {doing} there; wait for it or give another out"
            ) from error
        yield
    finally:
        os.close(descriptor)
