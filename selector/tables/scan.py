"""A table read in order, a row group at a time, with fact tables beside it row by row.

Fact parts lie under the names of the score parts and have a row for each of theirs, in the same
order. So a fact is not joined, which would hold a hash table of the whole pool: the row group that
covers the same rows is read and laid beside them. Whether it really has the same rows is looked at
every time; where it has not, its rows are found by row_id, and a row without a fact gets nulls.

Memory: the named columns of a few row groups (131,072 rows each).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from selector.tables.read import unreadable
from selector.tables.schema import row_id

READERS = 2
"""Threads that read ahead; reading and decompressing go on without Python's lock."""

_REMOTE_READERS = 8
"""An object store answers each of many requests late, but many at a time."""

_OPEN_FOOTERS = 4096
_NO_ROW_ID = 2**63 - 1
"""Greater than any."""

_START = re.compile(r"(\d{8})-(\d{8})")


@dataclass(frozen=True)
class Columns:
    """Some columns of one table.

    Attributes:
        kind: name of the table, for messages.
        source: its parts.
        names: columns to read; `row_id` comes along by itself.
    """

    kind: str
    source: ds.FileSystemDataset
    names: tuple[str, ...]


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of the table.

    Attributes:
        rows: those that were asked for, see `scan`.
        rows_read: rows of the piece before `keep` was applied.
        share: of the table's files that is read with this piece, 1.0 at the end.
    """

    rows: pa.Table
    rows_read: int
    share: float


def scan(
    base: Columns,
    beside: Mapping[str, Columns] | None = None,
    *,
    keep: Callable[[pa.Table], pa.Array | None] | None = None,
    threads: int | None = None,
) -> Iterator[Piece]:
    """Every row of `base`, in order of its parts.

    Args:
        beside: fact tables by a name; their columns appear as `<name>.<column>`.
        keep: rows of a piece -> mask of those to keep, None for all; called by the reading threads.
        threads: that read ahead; 2 for a local disk and 8 for an object store unless given.

    Raises:
        StorageError: a part that cannot be read, by name.
    """
    sides = {name: TableReader(columns) for name, columns in (beside or {}).items()}
    table = TableReader(base)
    if threads is None:
        threads = READERS if table.is_local else _REMOTE_READERS

    def read(file: int, group: int) -> tuple[pa.Table, int]:
        rows = table.read(file, group)
        row_ids = rows.column("row_id").to_numpy()
        for name, side in sides.items():
            for column, values in zip(side.names, side.at(row_ids), strict=True):
                rows = rows.append_column(f"{name}.{column}", values)
        mask = keep(rows) if keep is not None else None
        return (rows if mask is None else rows.filter(mask)), len(row_ids)

    files = len(base.source.files)
    waiting: deque[tuple[float, Future[tuple[pa.Table, int]]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="scan")
    try:
        for file in range(files):
            groups = table.footer(file).num_row_groups
            for group in range(groups):
                share = (file + (group + 1) / groups) / files
                waiting.append((share, pool.submit(read, file, group)))
                if len(waiting) > threads + 1:
                    yield _piece(*waiting.popleft())
        while waiting:
            yield _piece(*waiting.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _piece(share: float, future: Future[tuple[pa.Table, int]]) -> Piece:
    rows, rows_read = future.result()
    return Piece(rows, rows_read, share)


@dataclass
class TableReader:
    """A table that is read by row group, from any thread."""

    columns: Columns
    names: tuple[str, ...] = field(init=False)
    footer: Callable[[int], pq.FileMetaData] = field(init=False)
    _starts: list[int] | None = field(init=False)

    def __post_init__(self) -> None:
        self.names = tuple(name for name in self.columns.names if name != "row_id")
        self.footer = lru_cache(_OPEN_FOOTERS)(self._read_footer)
        self._starts = _first_row_ids(self.columns.source.files)

    @property
    def is_local(self) -> bool:
        """Whether the parts lie on a disk of this machine."""
        return isinstance(self.columns.source.filesystem, pafs.LocalFileSystem)

    def read(self, file: int, group: int) -> pa.Table:
        """`row_id` and the named columns of one row group."""
        source = self.columns.source
        path, metadata = source.files[file], self.footer(file)
        try:
            with (
                source.filesystem.open_input_file(path) as handle,
                pq.ParquetFile(handle, metadata=metadata, pre_buffer=not self.is_local) as opened,
            ):
                return opened.read_row_group(
                    group, columns=["row_id", *self.names], use_threads=False
                )
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self.columns.kind, path, error) from error

    def at(self, row_ids: npt.NDArray[np.int64]) -> list[pa.ChunkedArray]:
        """The named columns for these rows; null where there is no such row.

        Args:
            row_ids: (N,)
        """
        low, high = (int(row_ids.min()), int(row_ids.max())) if len(row_ids) else (0, -1)
        found = [
            self.read(file, group)
            for file in self._files(low, high)
            for group in range(self.footer(file).num_row_groups)
            if self._may_hold(file, group, low, high)
        ]
        if not found:
            schema = self.columns.source.schema
            return [pa.chunked_array([pa.nulls(len(row_ids), schema.field(n).type)])
                    for n in self.names]  # fmt: skip
        rows = found[0] if len(found) == 1 else pa.concat_tables(found)
        theirs = rows.column("row_id").to_numpy()
        if len(theirs) == len(row_ids) and np.array_equal(theirs, row_ids):
            return [rows.column(name) for name in self.names]
        return _looked_up(rows, theirs, row_ids, self.names)

    def bounds(self) -> list[tuple[int, int]]:
        """For every file, from which row_id to which (not included) its rows may go."""
        if self._starts is None:
            return [(0, _NO_ROW_ID)] * len(self.columns.source.files)
        return list(zip(self._starts, [*self._starts[1:], _NO_ROW_ID], strict=True))

    def group_bounds(self, file: int, group: int) -> tuple[int, int] | None:
        """Least and greatest row_id of a row group, None if its statistics do not tell."""
        footer = self.footer(file)
        column = footer.row_group(group).column(footer.schema.names.index("row_id"))
        statistics = column.statistics
        if statistics is None or not statistics.has_min_max:
            return None
        return int(statistics.min), int(statistics.max)

    def _may_hold(self, file: int, group: int, low: int, high: int) -> bool:
        """Whether a row group may have a row_id in low .. high."""
        bounds = self.group_bounds(file, group)
        if bounds is None:
            return bool(self.footer(file).row_group(group).num_rows)
        return bounds[0] <= high and bounds[1] >= low

    def _files(self, low: int, high: int) -> range:
        """Those whose rows may lie in low .. high, by the first row that their names tell."""
        if self._starts is None:
            return range(len(self.columns.source.files))
        first = max(bisect_right(self._starts, low) - 1, 0)
        return range(first, bisect_right(self._starts, high))

    def _read_footer(self, file: int) -> pq.FileMetaData:
        source = self.columns.source
        try:
            return pq.read_metadata(source.files[file], filesystem=source.filesystem)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self.columns.kind, source.files[file], error) from error


def first_row_id(file_name: str) -> int | None:
    """row_id of the first row of a part, as its name tells; None if it tells nothing."""
    match = _START.match(file_name)
    return row_id(int(match[1]), int(match[2])) if match else None


def _first_row_ids(paths: Sequence[str]) -> list[int] | None:
    starts = [first_row_id(path.rpartition("/")[2]) for path in paths]
    known = [start for start in starts if start is not None]
    return known if len(known) == len(starts) and known == sorted(known) else None


def _looked_up(
    rows: pa.Table,
    theirs: npt.NDArray[np.int64],
    row_ids: npt.NDArray[np.int64],
    names: Sequence[str],
) -> list[pa.ChunkedArray]:
    if (theirs[1:] < theirs[:-1]).any():
        order = np.argsort(theirs, kind="stable")
        rows, theirs = rows.take(pa.array(order)), theirs[order]
    place = np.minimum(np.searchsorted(theirs, row_ids), max(len(theirs) - 1, 0))
    absent = theirs[place] != row_ids if len(theirs) else np.ones(len(row_ids), bool)
    index = pa.array(place, mask=absent)
    return [pc.take(rows.column(name), index) for name in names]
