"""Compacting the tables of a run: many small parts into files of about a million rows.

Order and rows stay; what is new is where they lie. Every file is complete before its record says
so, and tables name it last: whoever is interrupted goes on with the next file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from selector.tables.compaction import (
    Record,
    make_record,
    records,
    remove_record,
    split_version,
    stale_records,
    with_compacted,
    without_compacted,
    write_record,
)
from selector.tables.facts import fact_tables
from selector.tables.layout import RunLayout
from selector.tables.read import TableList, open_filesystem, read_table_list, unreadable
from selector.tables.write import declare_same_rows, open_part
from shards import storage
from shards.errors import CoursepackError, UsageError

ROWS_PER_FILE = 1_000_000
"""Enough that a pool of a billion images is a thousand files."""

_FOOTER_THREADS = 8
_FOOTERS_AHEAD = 1_000

OnPart = Callable[[int, int], None]
"""Called with parts copied so far, and parts to copy."""


@dataclass(frozen=True)
class Compacted:
    """What compacting did.

    Attributes:
        files_before, files_after: files of all tables that a query may have to open.
        written: files made by this call.
        parts: that were copied into them.
    """

    files_before: int
    files_after: int
    written: int
    parts: int


def compact_tables(
    layout: RunLayout,
    sources: Mapping[str, str],
    *,
    rows_per_file: int = ROWS_PER_FILE,
    on_part: OnPart | None = None,
) -> Compacted:
    """Compact scores, members and every fact table that has their parts. Hold the run's lock.

    Args:
        sources: name of a part -> what it was made from; a part that is made anew later, from
            something else, takes its compacted file out of use.
        rows_per_file: at least so many rows are put together; parts of half as many stay alone.

    Raises:
        UsageError: no run, or one whose tables are behind its parts.
        StorageError: a part cannot be read.
        CoursepackError: the rows of consecutive parts do not ascend.
    """
    if stale_records(layout, sources):
        raise UsageError(
            f"shards of {layout.root} were scored anew, but its tables do not say so yet (the "
            "command was interrupted); run the same `coursepack score` again, then compact"
        )
    before = _tables(layout)
    underfull, planned = _plan(layout, before[0], sources, rows_per_file)
    kept = [record for record in records(layout) if record not in underfull]
    parts = {one.folder: set(one.parts) for one in before}
    jobs = [(record, _missing(parts, record)) for record in [*kept, *planned]]
    total = sum(len(record.parts) * len(folders) for record, folders in jobs)
    copied = written = 0
    for record, folders in jobs:
        for folder in folders:
            for _ in _copy(layout, record, folder):
                copied += 1
                if on_part is not None:
                    on_part(copied, total)
            record = record.with_folder(folder)
            written += 1
        if folders:
            write_record(layout, record)
    for record in underfull:  # its parts lie, with what followed them, in a new file now
        remove_record(layout, record)
    _declare(layout, before)
    files = [sum(len(one.table.parts) for one in tables) for tables in (before, _tables(layout))]
    return Compacted(files[0], files[1], written, copied)


@dataclass(frozen=True)
class _Table:
    """A table of the run, the folder of its parts, and these, compacted or not; by path."""

    table: TableList
    folder: str
    parts: tuple[str, ...]


def _tables(layout: RunLayout) -> list[_Table]:
    """Scores, members, and the fact tables, those of a kind from the oldest to the newest."""
    lists = [(read_table_list(layout, kind), kind) for kind in ("scores", "members")]
    lists += [(fact.table, f"facts/{fact.kind}/{fact.fact_id}") for fact in fact_tables(layout)]
    return [
        _Table(table, folder, tuple(without_compacted(layout, table.relative_parts)))
        for table, folder in lists
    ]


def _plan(
    layout: RunLayout, scores: _Table, sources: Mapping[str, str], rows_per_file: int
) -> tuple[list[Record], list[Record]]:
    """The records to be replaced, and the records to be made."""
    names = [_stem(path) for path in scores.parts]
    there = records(layout)
    underfull = [
        record
        for record in there
        if record.rows < rows_per_file // 2 and record.parts[-1] != split_version(names[-1])[0]
    ]
    taken = {
        storage.name(path).removesuffix(".parquet")
        for record in there
        if record not in underfull
        for path in record.originals("scores")
    }
    planned = []
    group: list[str] = []
    rows = 0

    def close() -> None:
        nonlocal rows
        if len(group) > 1:
            planned.append(make_record(group, sources, rows=rows))
        group.clear()
        rows = 0

    for name, num_rows in _row_counts(layout, names, skip=taken):
        if num_rows is None or num_rows >= rows_per_file // 2:
            close()
            continue
        group.append(name)
        rows += num_rows
        if rows >= rows_per_file:
            close()
    close()
    replaced = {part for record in planned for part in record.parts}
    return [record for record in underfull if record.parts[0] in replaced], planned


def _row_counts(
    layout: RunLayout, names: Sequence[str], *, skip: Set[str]
) -> Iterator[tuple[str, int | None]]:
    """Rows of each score part in order, None for those to skip; footers alone are read."""

    def count(name: str) -> tuple[str, int | None]:
        if name in skip:
            return name, None
        uri = layout.scores_part(name)
        filesystem, path = open_filesystem(uri)
        try:
            return name, pq.read_metadata(path, filesystem=filesystem).num_rows
        except (pa.ArrowException, OSError) as error:
            raise unreadable("scores", uri, error) from error

    with ThreadPoolExecutor(_FOOTER_THREADS) as pool:
        for at in range(0, len(names), _FOOTERS_AHEAD):
            yield from pool.map(count, names[at : at + _FOOTERS_AHEAD])


def _missing(parts: Mapping[str, set[str]], record: Record) -> list[str]:
    """Folders of the tables that have all parts of a record, but no file for it yet."""
    return [
        folder
        for folder, there in parts.items()
        if folder not in record.folders and there.issuperset(record.originals(folder))
    ]


def _copy(layout: RunLayout, record: Record, folder: str) -> Iterator[None]:
    """Write the file of a record and a table, a step for each part that is copied."""
    originals = [storage.join(layout.root, *path.split("/")) for path in record.originals(folder)]
    target = storage.join(layout.root, *record.compacted(folder).split("/"))
    last = -1
    rows = 0
    with _open(folder, originals[0]) as first:
        schema = first.schema_arrow
    with open_part(target, schema) as append:
        for uri in originals:
            with _open(folder, uri) as file:
                for group in range(file.num_row_groups):
                    table = _read_group(folder, uri, file, group)
                    ids = table.column("row_id").to_numpy()
                    if len(ids) and (ids[0] < last or (ids[1:] < ids[:-1]).any()):
                        raise CoursepackError(
                            f"{uri} does not continue the rows of the part before it: {ids[0]} "
                            f"after {last}; the run is damaged there, score into a new one"
                        )
                    last = int(ids[-1]) if len(ids) else last
                    rows += len(table)
                    append(table)
            yield
    if folder == "scores" and rows != record.rows:
        raise CoursepackError(f"{target} has {rows} rows, its parts {record.rows}; compact again")


def _open(folder: str, uri: str) -> pq.ParquetFile:
    filesystem, path = open_filesystem(uri)
    try:
        return pq.ParquetFile(path, filesystem=filesystem)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(folder, uri, error) from error


def _read_group(folder: str, uri: str, file: pq.ParquetFile, group: int) -> pa.Table:
    try:
        return file.read_row_group(group)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(folder, uri, error) from error


def _declare(layout: RunLayout, tables: Sequence[_Table]) -> None:
    """Let the tables name the new files; the newest fact table of a kind stays the newest."""
    changed: set[str] = set()
    for one in tables:
        if list(one.table.relative_parts) != with_compacted(layout, one.parts):
            changed.add(one.table.kind)
        if one.table.kind in changed:
            declare_same_rows(layout, one.table, one.parts)


def _stem(path: str) -> str:
    return storage.name(path).removesuffix(".parquet")
