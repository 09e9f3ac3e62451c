"""Reading tables: the newest table list says which parts exist; a directory is never globbed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from selector.tables.layout import RunLayout, parse_table_list
from selector.tables.run_files import read_json
from selector.tables.schema import SCHEMA_VERSION, check_schema
from shards import object_store, storage
from shards.errors import StorageError, UsageError

if TYPE_CHECKING:  # it loads pandas: the processes that only write tables need neither
    import pyarrow.dataset as ds

MAX_CHECKED = 1000
"""Parts whose schema is looked at before a table is read; of more, so many, evenly spread.

A run cannot mix schema versions (its ledger compares them), so a look at every part of a huge
table would only take time: about half a millisecond each, locally.
"""

_FOOTER_THREADS = 8


@dataclass(frozen=True)
class TableList:
    """Version `version` of a table: its parts, sorted, relative to the run and as URIs.

    `inputs` says what they were made from, see `write_table_list`. `fact` says which table of its
    kind a fact table is, see `selector.tables.facts`; None for scores and members. `statuses` are
    the rows of the scores table by status, None where that is not kept. `same_rows_as` is the older
    version of which this one is a compaction, None for one with rows of its own.
    """

    kind: str
    version: int
    relative_parts: tuple[str, ...]
    parts: tuple[str, ...]
    inputs: str = ""
    fact: Mapping[str, Any] | None = None
    statuses: Mapping[str, int] | None = None
    same_rows_as: int | None = None

    @property
    def rows_version(self) -> int:
        """The version that first had these rows: what a selection remembers of a table."""
        return self.same_rows_as or self.version


def newest_versions(layout: RunLayout) -> dict[str, int]:
    """The newest version of every table of the run, by kind; empty before the first score."""
    versions: dict[str, int] = {}
    for kind, version in listed_versions(layout):
        versions[kind] = max(version, versions.get(kind, 0))
    return versions


def read_table_list(layout: RunLayout, kind: str, version: int | None = None) -> TableList:
    """The parts of table `kind`, of its newest version unless one is given.

    Raises:
        UsageError: the run has no such table or version, or its list is of a schema version
            that this coursepack does not know.
    """
    if version is None:
        versions = newest_versions(layout)
        if kind not in versions:
            raise UsageError(_no_table(layout, kind, sorted(versions)))
        version = versions[kind]
    uri = layout.table_list(kind, version)
    cure = "restore it, or remove it and run the same score command, which writes it anew"
    content = read_json(uri, cure=cure)
    if content.get("schema_version") != SCHEMA_VERSION:
        raise UsageError(
            f"{uri} has schema version {content.get('schema_version')}, this coursepack reads "
            f"version {SCHEMA_VERSION}; use the coursepack that wrote it, or score into a new run"
        )
    relative = tuple(content["parts"])
    parts = tuple(storage.join(layout.root, *part.split("/")) for part in relative)
    return TableList(
        kind,
        version,
        relative,
        parts,
        content.get("inputs", ""),
        content.get("fact"),
        content.get("statuses"),
        content.get("same_rows_as"),
    )


def table_with_rows(layout: RunLayout, kind: str, rows_version: int) -> TableList:
    """The newest version of table `kind` that has the rows of version `rows_version`.

    Raises:
        UsageError, StorageError: as `read_table_list`, if no version has.
    """
    versions = [version for found, version in listed_versions(layout) if found == kind]
    for version in sorted(versions, reverse=True):
        if version < rows_version:
            break
        table = read_table_list(layout, kind, version)
        if table.rows_version == rows_version:
            return table
    return read_table_list(layout, kind, rows_version)


def table_parts(layout: RunLayout, kind: str) -> list[str]:
    """URIs of the parts of table `kind`, in order of row_id, from the newest table list."""
    return list(read_table_list(layout, kind).parts)


def dataset(layout: RunLayout, kind: str, *, version: int | None = None) -> ds.Dataset:
    """Table `kind` as a dataset that is read when it is scanned.

    Raises:
        UsageError: no such table, or a part whose schema is not known.
        StorageError: a part of the list is missing.
    """
    return open_table(layout, read_table_list(layout, kind, version))


def open_table(layout: RunLayout, table: TableList) -> ds.Dataset:
    """As `dataset`, for a table list that was read already."""
    if not table.parts:
        raise UsageError(
            f"table {table.kind} of {layout.root} has no parts yet: score the pool first"
        )
    _check_present(layout, table)
    return open_parts(table.kind, table.parts)


def open_parts(kind: str, parts: Sequence[str]) -> ds.Dataset:
    """Parquet files of one table (at least one) as a dataset, after a look at their schemas.

    Raises:
        UsageError: a part whose schema is not known.
        StorageError: a part that is no readable Parquet file.
    """
    import pyarrow.dataset as ds

    places = [open_filesystem(part) for part in parts]
    filesystem = places[0][0]

    def checked_schema(place: tuple[pafs.FileSystem, str], part: str) -> pa.Schema:
        try:
            schema = pq.read_schema(place[1], filesystem=filesystem)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(kind, part, error) from error
        check_schema(schema, kind=kind, where=part)
        return schema

    step = -(-len(parts) // MAX_CHECKED)
    with ThreadPoolExecutor(_FOOTER_THREADS) as pool:
        schemas = list(pool.map(checked_schema, places[::step], parts[::step]))
    return ds.FileSystemDataset.from_paths(
        [path for _, path in places],
        schema=schemas[0],
        format=ds.ParquetFileFormat(),
        filesystem=filesystem,
    )


def damage_of(
    kind: str, source: ds.FileSystemDataset, parts: Sequence[str] | None = None
) -> StorageError | None:
    """Which part is to blame for a scan that failed; None if each can be read.

    Schemas are looked at when a table is opened; damage further in shows only when it is read.

    Args:
        parts: those to look at, all unless given.
    """
    for part in source.files if parts is None else parts:
        try:
            for _ in pq.ParquetFile(part, filesystem=source.filesystem).iter_batches():
                pass
        except (pa.ArrowException, OSError) as error:
            return unreadable(kind, part, error)
    return None


def unreadable(kind: str, part: str, error: Exception) -> StorageError:
    cure = "remove it and its marker in the ledger and run the same score command again"
    if kind.startswith("selection"):
        cure = f"remove the folder {part.rpartition('/')[0]} and select again"
    reason = " ".join(str(error).split())
    return StorageError(f"{part} cannot be read as Parquet ({reason}); restore it, or {cure}")


def read(layout: RunLayout, kind: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Table `kind` in memory, rows in order of row_id; all columns unless some are named.

    Raises:
        UsageError: no such table or column.
        StorageError: a part of the list is missing.
    """
    source = dataset(layout, kind)
    unknown = [name for name in columns or () if name not in source.schema.names]
    if unknown:
        raise UsageError(
            f"table {kind} has no column {unknown[0]!r}; it has {', '.join(source.schema.names)}"
        )
    return source.to_table(columns=None if columns is None else list(columns))


def open_filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
    """The Arrow file system that holds `uri`, and the path in it.

    Raises:
        UsageError: a place that Arrow cannot read tables from (http).
    """
    uri = storage.normalize(uri)
    if storage.is_local(uri):
        return pafs.LocalFileSystem(), uri
    if storage.scheme(uri) not in ("s3", "gs"):
        raise UsageError(f"{uri}: a run must lie on a local path, s3:// or gs://; copy it there")
    return object_store.open_filesystem(uri)


def listed_versions(layout: RunLayout) -> list[tuple[str, int]]:
    """`(kind, version)` of every table list of the run, in no order."""
    if not storage.exists(layout.tables_dir):
        return []
    files = storage.list_files(layout.tables_dir, suffix=".json")
    found = [parse_table_list(storage.name(file.uri)) for file in files]
    return [entry for entry in found if entry is not None]


def _no_table(layout: RunLayout, kind: str, known: list[str]) -> str:
    if known:
        return f"run {layout.root} has no table {kind!r}; it has {', '.join(known)}"
    if storage.exists(layout.config):
        return (
            f"run {layout.root} has no tables: no shard of it is scored yet; run the same "
            "`coursepack score` command again, it tells which shards it cannot score"
        )
    return (
        f"{layout.root} holds no tables: expected a run directory made by "
        "`coursepack score POOL --teacher ... --out RUN`"
    )


def _check_present(layout: RunLayout, table: TableList) -> None:
    """A missing part is told at once and by name: a scan would stop in the middle."""
    directories = sorted({part.rsplit("/", 1)[0] for part in table.parts})
    present = {
        file.uri
        for directory in directories
        if storage.exists(directory)
        for file in storage.list_files(directory, suffix=".parquet")
    }
    missing = [part for part in table.parts if part not in present]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise StorageError(
            f"{missing[0]}{more} is listed in table {table.kind} (version {table.version}) but "
            f"not there; restore it, or remove its marker from {layout.ledger_dir} and run the "
            "same score command again",
            retriable=False,
        )
