"""Rows of a feature table in random order, as often as wanted, in the memory of one block.

A pool need not fit into memory, and Parquet has no cheap access to single rows. So each epoch goes
through the parts in a new random order, several of them side by side, fills a block of rows,
shuffles it and hands it out. A table that fits into one block is read once and kept.

Some rows, chosen by a hash of their row_id, are held out: training never sees them.

Legend: N = rows, D = dimensions, B = rows of a block.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Protocol

import numpy as np
import numpy.typing as npt

from selector.policies.draw import random_order
from selector.tables.facts import FactTable, VectorChunk, iter_vectors, open_fact
from selector.tables.vectors import vector_dim
from shards.errors import UsageError

Rows = npt.NDArray[np.float16]

BLOCK_BYTES = 256 * 2**20
"""Of half-precision features held for shuffling."""
MAX_HELD_OUT = 20_000
"""Rows that the prior, the calibration and the held-out risk need; more would not help them."""
MAX_HELD_OUT_SHARE = 0.2
SURVEY_ROWS = 1_000_000
"""Rows read for statistics: a mean over so many is exact enough."""

_SIDE_BY_SIDE = 8
_HELD_OUT_SEED = 0x70755F68656C64
"""Of the hash: no recipe's sample should meet the same rows."""
_CHUNK_ROWS = 8192


class PoolRows(Protocol):
    """What training needs of the unlabelled rows."""

    dim: int
    num_rows: int

    def batches(self, size: int, *, seed: int) -> Iterator[Rows]:
        """(size, D) float16 batches without end; the same for the same seed."""
        ...


class FeatureRows:
    """The rows of a feature table that have features.

    Attributes:
        dim: D.
        num_rows: rows of the table, those of failed images included.
        held_out_MD: (M, D) float16, rows that `batches` leaves out.
        held_out_ids: (M,) int64, their row_ids, in order.
        mean_D, deviation_D: float32, over the rows surveyed, held-out ones too.

    Args:
        fact: a table of kind "features".
        block_bytes: for shuffling.
        seed: of the order of the survey.

    Raises:
        UsageError: the table is empty, or a row has NaN or infinite features.
        StorageError: a part cannot be read.
    """

    def __init__(self, fact: FactTable, *, block_bytes: int = BLOCK_BYTES, seed: int = 0) -> None:
        source = open_fact(fact)
        self._fact = fact
        self.dim = vector_dim(source.schema.field("features"), where=f"features {fact.fact_id}")
        self.num_rows = int(source.count_rows())
        self._block_rows = max(_CHUNK_ROWS, block_bytes // (2 * self.dim))
        surveyed = max(1, min(self.num_rows, SURVEY_ROWS))
        self._share = min(MAX_HELD_OUT_SHARE, MAX_HELD_OUT / surveyed)
        self._kept: Rows | None = None
        self._survey(np.random.default_rng([seed, 0]))

    def batches(self, size: int, *, seed: int) -> Iterator[Rows]:
        epoch = 0
        rest: Rows = np.empty((0, self.dim), np.float16)
        while True:
            rng = np.random.default_rng([seed, 1, epoch])
            for block in self._blocks(rng):
                # Gathered batch by batch: a shuffled copy would double the memory.
                order = rng.permutation(len(block))
                taken = size - len(rest)
                while taken <= len(order):
                    yield np.concatenate([rest, block[order[taken - size + len(rest) : taken]]])
                    rest = rest[:0]
                    taken += size
                rest = np.concatenate([rest, block[order[taken - size + len(rest) :]]])
            epoch += 1

    def _blocks(self, rng: np.random.Generator) -> Iterator[Rows]:
        """The rows of one epoch; a block is overwritten when the next is asked for."""
        if self._kept is not None:
            yield self._kept
            return
        block = np.empty((self._block_rows, self.dim), np.float16)
        filled = 0
        for chunk in self._chunks(rng):
            rows = chunk.vectors[chunk.valid & ~self._is_held_out(chunk.row_ids)]
            while len(rows):
                taken = rows[: self._block_rows - filled]
                block[filled : filled + len(taken)] = taken
                filled += len(taken)
                rows = rows[len(taken) :]
                if filled == self._block_rows:
                    yield block
                    filled = 0
        if filled:
            yield block[:filled]

    def _survey(self, rng: np.random.Generator) -> None:
        """Statistics, held-out rows, and the rows themselves where they fit into a block."""
        fits = self.num_rows <= self._block_rows
        total = np.zeros(self.dim)
        squares = np.zeros(self.dim)
        count = 0
        kept: list[Rows] = []
        held: list[Rows] = []
        held_ids: list[npt.NDArray[np.int64]] = []
        for chunk in self._chunks(rng):
            rows = chunk.vectors[chunk.valid]
            ids = chunk.row_ids[chunk.valid]
            exact = rows.astype(np.float64)
            total += exact.sum(axis=0)
            squares += np.einsum("nd,nd->d", exact, exact)
            count += len(rows)
            out = self._is_held_out(ids)
            held.append(rows[out])
            held_ids.append(ids[out])
            if fits:
                kept.append(rows[~out])
            if count >= SURVEY_ROWS:
                break
        if not count:
            raise UsageError(
                f"features {self._fact.fact_id} have no row with features: every image failed"
            )
        mean = total / count
        self.mean_D = mean.astype(np.float32)
        variance = np.maximum(0, squares / count - mean**2)
        if self._fact.about.get("mode") == "pca":
            # One scale for all components: each by its own would make the last, which are mostly
            # noise, as loud as the first (benchmarks/pca_loss.py).
            variance = np.full_like(variance, variance.mean())
        self.deviation_D = np.sqrt(variance).astype(np.float32)
        ids = np.concatenate(held_ids)
        order = np.argsort(ids)
        self.held_out_ids = ids[order]
        self.held_out_MD = np.concatenate(held)[order]
        self._kept = np.concatenate(kept) if fits else None

    def _is_held_out(self, row_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return random_order(row_ids, seed=_HELD_OUT_SEED) < self._share

    def _chunks(self, rng: np.random.Generator) -> Iterator[VectorChunk]:
        """Chunks of all parts in random order, of several parts in turn: one may be one domain."""
        parts = self._fact.table.parts
        waiting = iter([parts[i] for i in rng.permutation(len(parts))])
        first = islice(waiting, _SIDE_BY_SIDE)
        turns = deque(checked_vectors(self._fact, part) for part in first)
        while turns:
            chunk = next(turns[0], None)
            if chunk is not None:
                yield chunk
                turns.rotate(-1)
                continue
            turns.popleft()
            if (part := next(waiting, None)) is not None:
                turns.append(checked_vectors(self._fact, part))


def checked_vectors(fact: FactTable, part: str) -> Iterator[VectorChunk]:
    """The chunks of one part, each row finite.

    Raises:
        UsageError: NaN or infinite features, with the row.
        StorageError: the part cannot be read.
    """
    alone = replace(fact, table=replace(fact.table, parts=(part,)))
    for chunk in iter_vectors(alone, chunk_rows=_CHUNK_ROWS):
        # All ones in the exponent: NaN or infinite. Half-precision isfinite is ten times slower.
        broken = ((chunk.vectors.view(np.uint16) & 0x7C00) == 0x7C00).any(axis=1)
        if broken.any():
            row = int(chunk.row_ids[np.flatnonzero(broken)[0]])
            raise UsageError(
                f"features {fact.fact_id} have NaN or infinite values in {int(broken.sum())} rows "
                f"of {part}, the first is row_id {row}; remove that part and compute the features "
                "again. Infinite values come from activations beyond 65,504"
            )
        yield chunk
