"""A folder that one build fills: begun, finished, and never mistaken for another build's.

A record beside the shards says what is built and whether it is finished. So a build that was
killed is begun again by the same command, and shards of anything else are never overwritten
unasked, nor mixed with new ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from shards import storage
from shards.atomic import write_bytes
from shards.errors import StorageError, UsageError


def begin(out: str, prefix: str, identity: Mapping[str, Any], *, overwrite: bool = False) -> None:
    """Claim the names `<prefix>-000000.tar`, ... in `out`; shards of other prefixes may stay.

    Raises:
        UsageError: such shards are there already, and they are not left by an unfinished build of
            the same identity; with `overwrite` they are removed.
        StorageError: the folder cannot be written.
    """
    storage.make_dirs(out)
    present = _shards(out, prefix)
    if present and not overwrite:
        record = _read(out, prefix)
        if record is None or record["finished"] or record["identity"] != _as_json(identity):
            raise UsageError(
                f"{out} holds {len(present)} shards called {prefix}-*.tar already; choose another "
                "folder or prefix, or overwrite them (--overwrite)"
            )
    for uri in present:
        storage.remove(uri)
    _write(out, prefix, {"finished": False, "identity": identity})


def finish(out: str, prefix: str, identity: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Record that the build is complete."""
    _write(out, prefix, {"finished": True, "identity": identity, "result": result})


def _shards(out: str, prefix: str) -> list[str]:
    if not storage.exists(out):  # an object store has no empty folders
        return []
    ours = re.compile(re.escape(prefix) + r"-\d+\.tar")
    files = storage.list_files(out, ".tar")
    return [info.uri for info in files if ours.fullmatch(storage.name(info.uri))]


def _record_uri(out: str, prefix: str) -> str:
    return storage.join(out, f"{prefix}-build.json")


def _read(out: str, prefix: str) -> dict[str, Any] | None:
    uri = _record_uri(out, prefix)
    if not storage.exists(uri):
        return None
    try:
        record = json.loads(storage.read_bytes(uri))
    except ValueError as error:
        raise StorageError(f"{uri} is damaged ({error}); remove it") from error
    return record if isinstance(record, dict) and {"finished", "identity"} <= set(record) else None


def _write(out: str, prefix: str, record: Mapping[str, Any]) -> None:
    text = json.dumps(record, indent=1, ensure_ascii=False)
    write_bytes(_record_uri(out, prefix), text.encode() + b"\n")


def _as_json(value: Mapping[str, Any]) -> Any:
    """As it comes back from the file: tuples are lists there."""
    return json.loads(json.dumps(value))
