"""Compacted tables: which parts also lie together in one larger file.

    run/compact/<stem>.json               the record: which parts, of which tables, made from what
    run/compact/<folder>/<stem>.parquet   the rows of these parts, in order; <folder> is theirs

A stem is `<first part>~<number of parts>-<digest>` and the same for all tables, so that facts and
scores keep the same boundaries. The parts stay where they are: the ledger, and who makes facts,
know nothing of compaction. Whoever declares a table names parts, and `with_compacted` puts the
compacted file in their place, as long as its record holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from selector.tables.layout import RunLayout, versioned
from selector.tables.run_files import read_json
from shards import atomic, storage

FOLDER = "compact"


@dataclass(frozen=True)
class Record:
    """Parts that lie together in one file, for each of some tables.

    Attributes:
        stem: name of the file, without its suffix.
        parts: names of the parts, in order, without suffix and version.
        versions: of those parts whose scores are no longer those of the first version.
        sources: name of a part -> what it was made from (its marker in the ledger), "" if unknown.
        rows: of the scores in these parts.
        folders: of the tables for which the file exists, relative to the run: `scores`, `members`,
            `facts/<kind>/<id>`.
    """

    stem: str
    parts: tuple[str, ...]
    sources: Mapping[str, str]
    rows: int
    folders: tuple[str, ...]
    versions: Mapping[str, int] = field(default_factory=dict)

    def originals(self, folder: str) -> list[str]:
        """Paths of the parts of one table, relative to the run."""
        versions = self.versions if folder == "scores" else {}
        names = [versioned(part, versions.get(part, 1)) for part in self.parts]
        return [f"{folder}/{name}.parquet" for name in names]

    def compacted(self, folder: str) -> str:
        """Path of the file of one table, relative to the run."""
        return f"{FOLDER}/{folder}/{self.stem}.parquet"

    def with_folder(self, folder: str) -> Record:
        """The record once the file of one more table exists."""
        return replace(self, folders=tuple(sorted({*self.folders, folder})))


def make_record(names: Sequence[str], sources: Mapping[str, str], *, rows: int) -> Record:
    """The record of parts of which no file exists yet.

    Args:
        names: of the parts of the scores, with their versions.
    """
    split = [split_version(name) for name in names]
    parts = tuple(part for part, _ in split)
    known = {part: sources.get(part, "") for part in parts}
    text = json.dumps([known, split], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    later = {part: version for part, version in split if version > 1}
    return Record(f"{parts[0]}~{len(parts)}-{digest}", parts, known, rows, (), later)


def records(layout: RunLayout) -> list[Record]:
    """Every record of the run, in order of the first part.

    Raises:
        StorageError: one is damaged.
    """
    if not storage.exists(storage.join(layout.root, FOLDER)):
        return []
    files = storage.list_files(storage.join(layout.root, FOLDER), suffix=".json")
    return [_read(uri) for uri in sorted(file.uri for file in files)]


def write_record(layout: RunLayout, record: Record) -> None:
    """Store a record; the files of all its folders must be there."""
    content = {
        "stem": record.stem,
        "rows": record.rows,
        "folders": list(record.folders),
        "versions": dict(record.versions),
        "parts": [[part, record.sources[part]] for part in record.parts],
    }
    atomic.write_bytes(_uri(layout, record), json.dumps(content, indent=1).encode() + b"\n")


def remove_record(layout: RunLayout, record: Record) -> None:
    """Forget that parts were compacted; tables that are declared from now on name the parts."""
    storage.remove(_uri(layout, record))


def stale_records(layout: RunLayout, sources: Mapping[str, str]) -> list[Record]:
    """The records of parts that were made anew since; their rows may be others now.

    Args:
        sources: as in `Record`, of the parts as they are now.
    """
    return [
        record
        for record in records(layout)
        if any(sources.get(part, was) != was for part, was in record.sources.items())
    ]


def retire_compacted(layout: RunLayout, sources: Mapping[str, str]) -> None:
    """Remove the records that are stale. Call it before tables are declared.

    Their files stay: older table lists name them.
    """
    for record in stale_records(layout, sources):
        remove_record(layout, record)


def with_compacted(layout: RunLayout, parts: Iterable[str]) -> list[str]:
    """Paths of parts, relative to the run, with compacted files in place of what they hold.

    A file takes the place of its parts only if all of them are there. Sorted by name, which is the
    order of row_id.
    """
    found = set(parts)
    for record in sorted(records(layout), key=lambda record: -len(record.parts)):
        for folder in record.folders:
            originals = record.originals(folder)
            if found.issuperset(originals):
                found.difference_update(originals)
                found.add(record.compacted(folder))
    return sorted(found, key=by_name)


def without_compacted(layout: RunLayout, parts: Iterable[str]) -> list[str]:
    """The opposite: parts in place of the compacted files whose records hold."""
    originals = {
        record.compacted(folder): record.originals(folder)
        for record in records(layout)
        for folder in record.folders
    }
    return sorted(_flat(originals.get(part, [part]) for part in parts), key=by_name)


def by_name(path: str) -> tuple[str, str]:
    """Sorts paths of parts by the first row they hold, in whichever folder they lie."""
    return storage.name(path), path


def split_version(name: str) -> tuple[str, int]:
    """Name of a part without its version, and the version (1 if it names none)."""
    part, _, version = name.partition(".v")
    return (part, int(version)) if version.isdecimal() else (name, 1)


def _flat(lists: Iterable[list[str]]) -> Iterator[str]:
    for one in lists:
        yield from one


def _uri(layout: RunLayout, record: Record) -> str:
    return storage.join(layout.root, FOLDER, f"{record.stem}.json")


def _read(uri: str) -> Record:
    cure = "remove it and run `coursepack compact` again"
    content = read_json(uri, cure=cure)
    parts = [(str(part), str(source)) for part, source in content["parts"]]
    return Record(
        stem=content["stem"],
        parts=tuple(part for part, _ in parts),
        sources=dict(parts),
        rows=int(content["rows"]),
        folders=tuple(content["folders"]),
        versions=content["versions"],
    )
