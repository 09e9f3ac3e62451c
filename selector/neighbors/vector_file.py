"""The usable vectors of a feature table in one local file, mapped and not read: rows by number.

    vectors.f16    (N, D) float16, as in the table
    row_ids.i64    (N,) the row of the pool that each is of

New parts of the table are appended. Rows without a direction (failed images, zeros, NaN) have no
place here: they are nobody's neighbour and nobody's duplicate.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from selector.neighbors.greedy import IntArray
from selector.neighbors.unit import Half, usable
from selector.tables.facts import FactTable, iter_vectors
from shards import storage
from shards.errors import StorageError

_VECTORS, _ROW_IDS = "vectors.f16", "row_ids.i64"


@dataclass(frozen=True)
class PartCount:
    """What a part of the feature table gave.

    Attributes:
        stamp: size and etag of its file; where they are the same, it is not read again.
        rows, missing, unusable: all its rows; those without a vector; those whose vector is zero
            or not finite.
    """

    stamp: str
    rows: int
    missing: int
    unusable: int

    @property
    def usable(self) -> int:
        """Rows that have a place in the file."""
        return self.rows - self.missing - self.unusable


class TableChanged(Exception):
    """The file holds rows that the table has no longer, or has otherwise: write it anew."""


@dataclass(frozen=True)
class VectorFile:
    """N vectors of D dimensions in a folder; nothing is read until it is used."""

    folder: Path
    size: int
    dim: int

    @property
    def vectors(self) -> Half:
        """(N, D) float16, mapped."""
        return _mapped(self.folder / _VECTORS, np.dtype("<f2"), (self.size, self.dim))

    @property
    def row_ids(self) -> IntArray:
        """(N,) int64, mapped."""
        return _mapped(self.folder / _ROW_IDS, np.dtype("<i8"), (self.size,))

    def numbers_of(self, row_ids: IntArray) -> IntArray:
        """(M,) the number of each row_id's vector in the file, -1 where it has none.

        Memory: 16 bytes per vector of the file for the time of the call.
        """
        return RowNumbers(self.row_ids)(row_ids)


class RowNumbers:
    """row_id -> number in a list of distinct row_ids."""

    def __init__(self, row_ids: IntArray) -> None:
        self._order = np.argsort(row_ids, kind="stable")
        self._sorted = np.asarray(row_ids)[self._order]

    def __call__(self, wanted: IntArray) -> IntArray:
        """(M,) numbers, -1 for a row_id that is not in the list."""
        if not len(self._sorted):
            return np.full(len(wanted), -1, np.int64)
        at = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        return np.where(self._sorted[at] == wanted, self._order[at], -1)


def append_table(
    before: VectorFile,
    fact: FactTable,
    known: Mapping[str, PartCount],
    *,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> tuple[VectorFile, dict[str, PartCount]]:
    """Add the rows of a feature table that are not in the file yet.

    A crash leaves at most bytes behind the end of `before`, which the next call cuts off.

    Args:
        known: file name of each part that was read before -> what it gave.
        on_rows: called with the number of rows of each chunk.

    Returns:
        The grown file, and what each part of the table gives.

    Raises:
        TableChanged: rows in the file are not those of the table.
        StorageError: a part cannot be read; the folder cannot be written.
    """
    before.folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, PartCount] = {}
    new: list[str] = []
    for uri in fact.table.parts:
        name, stamp = storage.name(uri), _stamp(uri)
        if name in known and known[name].stamp == stamp:
            parts[name] = known[name]
            on_rows(known[name].rows)
        else:
            new.append(uri)
    if not new:
        return _whole(before, parts), parts
    # A part of another name or time may hold old rows (compaction, a copied run): compare them.
    there = RowNumbers(before.row_ids) if before.size else None
    size = before.size
    with (
        _open_at(before.folder / _VECTORS, 2 * before.size * before.dim) as vectors_out,
        _open_at(before.folder / _ROW_IDS, 8 * before.size) as ids_out,
    ):
        counts: dict[str, list[int]] = {storage.name(uri): [0, 0, 0] for uri in new}
        for chunk in iter_vectors(_only(fact, new)):
            fits = chunk.valid.copy()
            fits[fits] = usable(chunk.vectors[fits])
            count = counts[storage.name(chunk.part)]
            count[0] += len(fits)
            count[1] += int((~chunk.valid).sum())
            count[2] += int((chunk.valid & ~fits).sum())
            row_ids, vectors = chunk.row_ids[fits], chunk.vectors[fits]
            if there is not None:
                numbers = there(row_ids)
                old = numbers >= 0
                stored = before.vectors[numbers[old]]
                if not np.array_equal(stored.view(np.uint16), vectors[old].view(np.uint16)):
                    raise TableChanged(f"rows of {storage.name(chunk.part)} have other vectors now")
                row_ids, vectors = row_ids[~old], vectors[~old]
            vectors_out.write(np.ascontiguousarray(vectors, "<f2").tobytes())
            ids_out.write(row_ids.astype("<i8").tobytes())
            size += len(row_ids)
            on_rows(len(fits))
        for file in (vectors_out, ids_out):
            file.flush()
            os.fsync(file.fileno())
    for uri in new:
        parts[storage.name(uri)] = PartCount(_stamp(uri), *counts[storage.name(uri)])
    return _whole(VectorFile(before.folder, size, before.dim), parts), parts


def _whole(file: VectorFile, parts: Mapping[str, PartCount]) -> VectorFile:
    if sum(part.usable for part in parts.values()) != file.size:
        raise TableChanged("the table has lost rows")
    return file


def _only(fact: FactTable, parts: list[str]) -> FactTable:
    return replace(fact, table=replace(fact.table, parts=tuple(parts)))


def _stamp(uri: str) -> str:
    info = storage.stat(uri)
    return f"{info.num_bytes}-{info.etag}"


def _open_at(path: Path, size: int) -> BinaryIO:
    try:
        file = path.open("r+b" if path.exists() else "w+b")
        file.truncate(size)
        file.seek(size)
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error})") from error
    return file


def _mapped(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> npt.NDArray:
    if 0 in shape:
        return np.empty(shape, dtype)
    try:
        return np.memmap(path, dtype, mode="r", shape=shape)
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{path} is damaged ({error}); remove the folder {path.parent} and run "
            "`coursepack neighbors build` again"
        ) from error
