"""Which kind of index a number of vectors needs, and its parameters: pure arithmetic, no FAISS.

| kind | vectors | what is compared | memory per vector |
|---|---|---|---|
| flat | up to about 100,000 | every vector | none: read from disk |
| ivf-flat | up to 1 GiB of float32 | those of the nearest lists | 4 D + 8 bytes |
| ivf-pq | beyond | compressed ones of the nearest lists, the best exactly | D / 2 + 8, at most 72 |

An inverted file (IVF) puts each vector into the list of its nearest centroid; a search looks into
the lists of the few centroids nearest to the query.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shards.errors import UsageError

Kind = Literal["flat", "ivf-flat", "ivf-pq"]
KINDS: tuple[Kind, ...] = ("flat", "ivf-flat", "ivf-pq")

FLAT_ROWS = 100_000
IVF_FLAT_BYTES = 2**30
ROWS_PER_LIST = 48
"""Vectors a list that centroids are trained on; FAISS asks for 39 at least."""

_MAX_PARTS = 128


@dataclass(frozen=True)
class IndexKind:
    """What to build.

    Attributes:
        lists, probes: of an IVF; 0 for flat.
        rerank: candidates from compressed vectors that are compared exactly, per neighbour wanted.
        asked: the kind was asked for, not chosen by size.
        reason: why this kind, for people.
    """

    kind: Kind
    lists: int
    probes: int
    rerank: int
    asked: bool
    reason: str


def choose_kind(num_rows: int, dim: int, *, kind: Kind | None = None) -> IndexKind:
    """The kind for `num_rows` vectors of `dim` dimensions, or the one asked for.

    Raises:
        UsageError: an IVF over too few vectors to train a single list.
    """
    asked = kind is not None
    reason = f"{'asked' if asked else 'chosen'} for {num_rows:,} vectors of {dim} dimensions"
    if kind is None:
        if num_rows <= FLAT_ROWS:
            kind = "flat"
        else:
            kind = "ivf-flat" if num_rows * dim * 4 <= IVF_FLAT_BYTES else "ivf-pq"
    if kind == "flat":
        return IndexKind(kind, 0, 0, 1, asked, reason)
    if num_rows < 2 * ROWS_PER_LIST:
        raise UsageError(
            f"an {kind} index needs at least {2 * ROWS_PER_LIST} usable vectors, found "
            f"{num_rows:,}; leave --kind out: a flat index is exact and fast at this size"
        )
    lists = list_count(num_rows)
    rerank = 1 if kind == "ivf-flat" else 16
    return IndexKind(kind, lists, min(lists, 32), rerank, asked, reason)


def list_count(num_rows: int) -> int:
    """Lists of an IVF: the power of two nearest to 1.3 sqrt(N), with enough vectors to train."""
    lists = 2 ** max(0, round(1.3 * num_rows**0.5).bit_length() - 1)
    if 2**0.5 * lists < 1.3 * num_rows**0.5:
        lists *= 2
    while lists > 1 and lists * ROWS_PER_LIST > num_rows:
        lists //= 2
    return lists


def train_rows(num_rows: int, lists: int) -> int:
    """Vectors of the sample that an IVF is trained on; at least 20,000 serve the PQ as well."""
    return min(num_rows, max(20_000, lists * ROWS_PER_LIST))


def subquantizers(dim: int) -> tuple[int, int]:
    """`(parts, padded dim)` of a product quantizer of 4-bit codes: a code a dimension, up to 128.

    At 64 dimensions, among images of a class, one code for each finds 99.9 % of the ten nearest;
    one for two of them 78 %, in two thirds of the time. Vectors are padded to a multiple.
    """
    parts = min(_MAX_PARTS, dim)
    parts += parts % 2  # two codes share a byte
    return parts, -(-dim // parts) * parts
