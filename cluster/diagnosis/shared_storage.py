"""Is a place the same one from every node? The driver writes a file there, each node answers it.

A node writes an answer that only a reader of the driver's file can give; the driver reads it back.
So a folder that merely exists under the same name on every machine is found out.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from shards import atomic, storage
from shards.errors import CoursepackError, StorageError


@contextmanager
def question(place: str) -> Iterator[str]:
    """Write a fresh file under `place`; yields the folder to ask nodes about, gone afterwards.

    Raises:
        CoursepackError: this machine cannot write there.
    """
    folder = storage.join(storage.normalize(place), f".coursepack-doctor-{secrets.token_hex(6)}")
    existed = storage.exists(place)
    try:
        atomic.write_bytes(storage.join(folder, "question"), secrets.token_hex(16).encode())
        yield folder
    finally:
        with contextlib.suppress(CoursepackError):  # what could not be written cannot be removed
            _remove(folder)
            if not existed and storage.is_local(place):
                with contextlib.suppress(OSError):
                    os.rmdir(storage.normalize(place))


def answer(folder: str, name: str) -> str:
    """On a node: read the question and write the answer. Returns what went wrong, or ""."""
    try:
        asked = storage.read_bytes(storage.join(folder, "question"))
    except CoursepackError as error:
        return f"cannot read what the driver wrote there: {error}"
    try:
        atomic.write_bytes(storage.join(folder, name), asked[::-1])
    except CoursepackError as error:
        return f"cannot write there: {error}"
    return ""


def check_answer(folder: str, name: str) -> str:
    """On the driver: is the answer of the node `name` there? Returns what is wrong, or ""."""
    try:
        asked = storage.read_bytes(storage.join(folder, "question"))
        found = storage.read_bytes(storage.join(folder, name))
    except StorageError:
        return "what this node writes there does not arrive here: it is another place"
    return "" if found == asked[::-1] else "this node's file arrived here with other content"


def _remove(folder: str) -> None:
    for info in storage.list_files(folder):
        storage.remove(info.uri)
    if storage.is_local(folder):
        os.rmdir(folder)
