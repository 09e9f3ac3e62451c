"""Tables of duplicates: one row per row of the scores, null = keep this image.

    duplicate_of   row_id of the kept image that this one lies near (leakage: of the other set)
    similarity     cosine of the two, for semantic duplicates
    distance       bits in which the two perceptual hashes differ, for perceptual duplicates
    grade          which comparison found it, for leakage

A recipe leaves them out with `exclude: {duplicates: semantic}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from selector.neighbors.greedy import IntArray
from selector.neighbors.vector_file import RowNumbers
from selector.tables.facts import FactTable, write_fact_table
from selector.tables.layout import RunLayout
from selector.tables.read import TableList, open_filesystem
from selector.tables.schema import column, fact_schema
from selector.tables.write import open_part
from shards import storage
from shards.errors import StorageError

Grade = Literal["exact", "perceptual", "semantic"]
GRADES: tuple[Grade, ...] = ("exact", "perceptual", "semantic")

_DUPLICATE_OF = column(
    "duplicate_of", pa.int64(), "row_id of the image kept in its place; null = keep"
)
_VALUES = {
    "similarity": column(
        "similarity", pa.float32(), "cosine of the two images' features", unit="1"
    ),
    "distance": column(
        "distance", pa.int32(), "differing bits of the perceptual hashes", unit="bit"
    ),
    "grade": column("grade", pa.string(), "exact, perceptual or semantic"),
}


@dataclass(frozen=True)
class Removed:
    """The images that are duplicates.

    Attributes:
        row_ids: (R,) distinct.
        duplicate_of: (R,) row_id of the image that is kept in the place of each.
        values: further columns (R,): similarity (NaN = null), distance, grade.
    """

    row_ids: IntArray
    duplicate_of: IntArray
    values: Mapping[str, npt.NDArray[Any]]


def kind_of(grade: Grade) -> str:
    """Kind of the fact table of a grade."""
    return f"duplicates_{grade}"


def write_duplicates(
    layout: RunLayout,
    scores: TableList,
    kind: str,
    fact_id: str,
    removed: Removed,
    *,
    about: Mapping[str, Any],
    name: str = "",
    before_commit: Callable[[], None] = lambda: None,
) -> FactTable:
    """Write a table of duplicates beside the parts of the scores.

    Memory: about 40 bytes per removed image, and the row_ids of a part.

    Args:
        scores: the version of the scores that was looked at.
        before_commit: called before the table is declared; may raise.

    Raises:
        StorageError: a part cannot be read or written.
    """
    names = sorted(removed.values)
    schema = fact_schema(kind, [_DUPLICATE_OF, *(_VALUES[value] for value in names)])
    columns = {"duplicate_of": removed.duplicate_of, **{k: removed.values[k] for k in names}}
    numbers_of = RowNumbers(removed.row_ids)
    parts = []
    for source in scores.parts:
        stem = storage.name(source).removesuffix(".parquet")
        parts.append(layout.facts_part(kind, fact_id, stem))
        with open_part(parts[-1], schema) as append:
            for row_ids in _row_ids(source):
                number = numbers_of(row_ids)
                keep = number < 0
                arrays = [pa.array(row_ids)]
                for field in list(schema)[1:]:
                    found = columns[field.name]
                    values = found[number] if len(found) else np.zeros(len(number), found.dtype)
                    # from_pandas: NaN, where the comparison has no such value, becomes null.
                    arrays.append(pa.array(values, mask=keep, from_pandas=True).cast(field.type))
                append(pa.Table.from_arrays(arrays, schema=schema))
    before_commit()
    return write_fact_table(
        layout, kind, fact_id, parts, about=about, name=name, inputs=str(scores.version)
    )


def _row_ids(part: str) -> Iterator[IntArray]:
    """The row_ids of a part of the scores, some at a time."""
    filesystem, path = open_filesystem(part)
    try:
        with pq.ParquetFile(path, filesystem=filesystem) as file:
            for batch in file.iter_batches(131_072, columns=["row_id"]):
                yield batch.column(0).to_numpy()
    except (pa.ArrowException, OSError) as error:
        raise StorageError(
            f"{part} cannot be read ({' '.join(str(error).split())}); restore it, or remove it "
            "and its marker in the ledger and run the same score command again"
        ) from error
