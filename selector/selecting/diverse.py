"""The step that compares features: rows of each group that are unlike each other.

Unlike the other steps it holds every row that reaches it, with its vector: about 2 D + 40 bytes a
row, and 4 D of the rows of the largest group. Put steps that narrow before it.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.dataset as ds

from selector.policies.columns import Columns, IntArray
from selector.policies.diverse import farthest_first
from selector.selecting.plan import Diverse
from selector.selecting.rank import Kept
from selector.selecting.rows import columns_of, concatenate, take_rows
from selector.selecting.source import NO_GROUP, Chunk
from selector.tables.vectors import decode_vectors
from shards.errors import UsageError


class DiverseRunner:
    """Carries out one Diverse step over chunks.

    Raises:
        UsageError: a group has too few rows and the step says that this is an error.
    """

    def __init__(self, step: Diverse) -> None:
        self._step = step
        self._chunks: list[Chunk] = []
        self.peak_rows = 0

    def add(self, chunk: Chunk) -> None:
        """Take in a chunk."""
        self._chunks.append(chunk)
        self.peak_rows += len(chunk["row_id"])

    def finish(self) -> Kept:
        """The rows kept of all chunks (at least one)."""
        step, chunk = self._step, concatenate(self._chunks)
        self._chunks = []
        if step.by is None:
            values, group = np.zeros(1, np.int64), np.zeros(len(chunk["row_id"]), np.int64)
        else:
            values, group = np.unique(chunk[step.by], return_inverse=True)
            if len(values) and values[0] == NO_GROUP:
                values, group = values[1:], group - 1
        units, usable = _units(step.source, chunk["row_id"])
        group = np.where(usable, group, -1)
        columns = columns_of(step.order, chunk, group)
        mask = farthest_first(columns, units, n=step.n, num_groups=len(values))
        warnings = self._check(columns, values)
        kept = take_rows(chunk, mask)
        details = {
            "unranked": int((~_rankable(columns)).sum()),
            "kept_rows": pack(np.sort(kept["row_id"])),
        }
        reason = np.zeros(len(kept["row_id"]), dtype=np.int64)
        return Kept(kept, reason, (step.label,), details, warnings)

    def _check(self, columns: Columns, values: IntArray) -> tuple[str, ...]:
        fits = _rankable(columns)
        counts = np.bincount(columns.group[fits], minlength=len(values))
        short = np.flatnonzero(counts < self._step.n)
        if not len(short):
            return ()
        shown = ", ".join(f"{values[g]}: {counts[g]}" for g in short[:5])
        message = (
            f"{self._step.path}: {len(short)} of {len(values)} groups have fewer than "
            f"{self._step.n} rows with features: {shown}"
        )
        if self._step.shortage == "error":
            raise UsageError(f"{message}; lower n, or set shortage: accept")
        return (message,)


def pack(row_ids: IntArray) -> str:
    """Sorted row_ids as text for stats.json: one to three bytes each."""
    steps = np.diff(row_ids, prepend=np.int64(0)).astype("<i8")
    return base64.b64encode(zlib.compress(steps.tobytes(), 6)).decode()


def was_kept(entry: Mapping[str, Any], row_id: int) -> bool:
    """Whether a Diverse step kept a row, from its entry in stats.json."""
    steps = np.frombuffer(zlib.decompress(base64.b64decode(entry["kept_rows"])), "<i8")
    return bool((np.cumsum(steps) == row_id).any())


def _rankable(columns: Columns) -> npt.NDArray[np.bool_]:
    return ~np.isnan(columns.order) & (columns.group >= 0)


def _units(
    source: ds.Dataset, row_ids: IntArray
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """(N, D) vectors of length 1 of some rows, and which rows have one."""
    order = np.argsort(row_ids)
    in_order = row_ids[order]
    found: npt.NDArray[np.float16] | None = None
    usable = np.zeros(len(row_ids), dtype=bool)
    if not len(row_ids):
        return np.zeros((0, 1), np.float32), usable
    for batch in source.scanner(columns=["row_id", "features"], batch_size=65_536).to_batches():
        vectors, valid = decode_vectors(batch.column(1))
        if found is None:
            found = np.zeros((len(row_ids), vectors.shape[1]), np.float16)
        at = np.searchsorted(in_order, batch.column(0).to_numpy())
        at = np.minimum(at, max(0, len(row_ids) - 1))
        hit = (
            valid & (in_order[at] == batch.column(0).to_numpy()) if len(row_ids) else valid & False
        )
        found[order[at[hit]]] = vectors[hit]
        usable[order[at[hit]]] = True
    if found is None:
        return np.zeros((len(row_ids), 1), np.float32), usable
    usable &= np.isfinite(found).all(axis=1) & (found != 0).any(axis=1)
    units = np.where(usable[:, None], found, np.float16(0)).astype(np.float32)
    lengths = np.sqrt(np.einsum("nd,nd->n", units, units))
    units /= np.where(lengths > 0, lengths, 1)[:, None]
    return units, usable
