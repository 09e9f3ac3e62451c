"""What is done: one small immutable marker per part, named so that a listing answers everything.

`run/ledger/<part>-<semantic hash>-<input etag hash>.json` exists if and only if the part's outputs
are in place (`.damaged.json` if its shard broke off, so that only a part of it could be read).
Resuming lists this folder and reads none of its files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from selector.tables.layout import versioned
from shards import atomic, storage
from shards.errors import CoursepackError

_HASH_LENGTH = 12
_DAMAGED = ".damaged"
_READERS = 16


def short_hash(text: str) -> str:
    """The first 12 hex digits of sha256: names a configuration or an etag in file names."""
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


@dataclass(frozen=True, slots=True)
class Marker:
    """A finished part.

    Attributes:
        part: Name of the part, `<shard_id:08d>-<start:08d>`.
        semantic: Short hash of the semantic configuration.
        etag: Short hash of the input shard's etag, so that a changed shard is noticed.
        paths: What was written, relative to the run.
        counters: Counts and seconds, as the stage reported them.
        damaged: The shard is truncated or corrupt: the part holds what could be read of it and
            is replaced once the shard has been mended.
        version: 1, or more after failed rows were done again; the highest one counts.
    """

    part: str
    semantic: str
    etag: str
    paths: tuple[str, ...] = ()
    counters: dict[str, float] = field(default_factory=dict)
    damaged: bool = False
    version: int = 1

    @property
    def file_name(self) -> str:
        tail = _DAMAGED if self.damaged else ""
        return f"{self.scores_name}-{self.semantic}-{self.etag}{tail}.json"

    @property
    def scores_name(self) -> str:
        """Name of the part's newest scores file."""
        return versioned(self.part, self.version)


@dataclass(frozen=True)
class Ledger:
    """The markers under one folder."""

    folder: str

    def write(self, marker: Marker) -> None:
        """Record that `marker.part` is done. Its outputs must be in place already."""
        content = {"paths": list(marker.paths), "counters": marker.counters}
        uri = storage.join(self.folder, marker.file_name)
        atomic.write_bytes(uri, json.dumps(content, sort_keys=True).encode() + b"\n")

    def remove(self, marker: Marker) -> None:
        """Forget a part with all its versions, so that it is done again."""
        for version in range(1, marker.version + 1):
            old = replace(marker, version=version)
            storage.remove(storage.join(self.folder, old.file_name))

    def listing(self) -> dict[str, Marker]:
        """Every done part by name, in its newest version.

        From file names alone: paths and counters stay empty.
        """
        if not storage.exists(self.folder):
            return {}
        found: dict[str, Marker] = {}
        for marker in map(_parse, self._names()):
            if marker and (marker.part not in found or marker.version > found[marker.part].version):
                found[marker.part] = marker
        return found

    def read(self, parts: Collection[str] | None = None) -> Iterator[Marker]:
        """The markers of `parts`, of all if None, with their content, in order of part name."""
        listing = self.listing()
        wanted = [listing[part] for part in sorted(listing) if parts is None or part in parts]
        with ThreadPoolExecutor(_READERS) as pool:
            yield from pool.map(self._with_content, wanted)

    def _with_content(self, marker: Marker) -> Marker:
        uri = storage.join(self.folder, marker.file_name)
        try:
            content = json.loads(storage.read_bytes(uri))
            paths, counters = tuple(content["paths"]), dict(content["counters"])
        except (ValueError, KeyError, TypeError) as error:
            raise CoursepackError(
                f"ledger marker {uri} is damaged ({error}); remove it and run the same "
                "command again: that one part is scored anew"
            ) from error
        return replace(marker, paths=paths, counters=counters)

    def _names(self) -> Iterator[str]:
        for info in storage.list_files(self.folder, suffix=".json"):
            yield storage.name(info.uri)


def _parse(file_name: str) -> Marker | None:
    stem = file_name.removesuffix(".json")
    pieces = stem.removesuffix(_DAMAGED).rsplit("-", 2)
    if len(pieces) != 3 or any(len(piece) != _HASH_LENGTH for piece in pieces[1:]):
        return None
    part, semantic, etag = pieces
    part, _, version = part.partition(".v")
    if version and not version.isdecimal():
        return None
    damaged = stem.endswith(_DAMAGED)
    return Marker(part, semantic, etag, damaged=damaged, version=int(version or 1))
