"""Some rows of a table by row_id: only the files and row groups that hold them are read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from selector.tables.scan import Columns, TableReader


def find_rows(columns: Columns, row_ids: npt.NDArray[np.int64]) -> Iterator[pa.Table]:
    """The rows of these images, in order of the files, one table a file that has some.

    Args:
        row_ids: (N,) sorted, without repetition. A table may have several rows of one.

    Raises:
        StorageError: a part cannot be read.
    """
    reader = TableReader(columns)
    for file, (low, high) in enumerate(reader.bounds()):
        here = row_ids[np.searchsorted(row_ids, low) : np.searchsorted(row_ids, high)]
        if not len(here):
            continue
        found = [
            rows
            for group in range(reader.footer(file).num_row_groups)
            if (rows := _in_group(reader, file, group, here)) is not None
        ]
        if found:
            yield pa.concat_tables(found)


def _in_group(
    reader: TableReader, file: int, group: int, row_ids: npt.NDArray[np.int64]
) -> pa.Table | None:
    bounds = reader.group_bounds(file, group)
    if bounds is not None:
        first = np.searchsorted(row_ids, bounds[0])
        row_ids = row_ids[first : np.searchsorted(row_ids, bounds[1], "right")]
    if not len(row_ids):
        return None
    rows = reader.read(file, group)
    rows = rows.filter(pc.is_in(rows.column("row_id"), value_set=pa.array(row_ids)))
    return rows if len(rows) else None
