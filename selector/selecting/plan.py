"""A plan: a recipe bound to one run; every name checked, every direction and list resolved.

What is left of the recipe are five kinds of step. Flag, Listed and Limit look at one row alone;
Rank compares rows; Combine puts other steps together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow.dataset as ds

from selector.policies.columns import IntArray
from selector.policies.quota import Shortage


@dataclass(frozen=True)
class SourceColumn:
    """A column that the stream of candidate rows must carry.

    Attributes:
        name: of the column in a chunk.
        kind: number -> float64 with NaN for null; integer -> int64 with the least int64 for null;
            flag -> bool, null counts as false; present -> bool, whether there is a value.
        sql: expression over `scores` (or over the fact table, if one is named): a condition for a
            flag, one column for the others.
        fact: kind of the fact table that the column lies in, None for `scores`.
        reads: columns of that table that the expression needs of a row; None if the row alone does
            not tell the answer.
    """

    name: str
    kind: Literal["number", "integer", "flag", "present"]
    sql: str
    fact: str | None
    reads: tuple[str, ...] | None


@dataclass(frozen=True)
class Order:
    """What rows are ranked by.

    Attributes:
        column: name of the column in a chunk, None for a random draw.
        sign: 1 = the lowest first, -1 = the highest first.
        seed: of the draw.
        single: the column is stored as float32.
        words: such as "lowest noise_value".
    """

    column: str | None
    sign: int
    seed: int
    single: bool
    words: str


@dataclass(frozen=True)
class Flag:
    """Keeps the rows whose flag is `keep`."""

    path: str
    label: str
    column: str
    keep: bool


@dataclass(frozen=True)
class Listed:
    """Leaves out the rows of a sorted list of row_ids (M,)."""

    path: str
    label: str
    row_ids: IntArray
    warning: str | None


@dataclass(frozen=True)
class Limit:
    """Keeps the rows up to a limit of their order, the limit included."""

    path: str
    label: str
    order: Order
    limit: float


@dataclass(frozen=True)
class Rank:
    """Keeps the first n rows, or the first share of them, or the first n of every group.

    `balanced`: n rows in all, evenly over the groups.
    """

    path: str
    label: str
    order: Order
    n: int | None
    quantile: float | None
    by: str | None
    shortage: Shortage
    balanced: bool = False


@dataclass(frozen=True)
class Combine:
    """Keeps what all, or any, of its parts keep; or fills up from one part after another."""

    path: str
    label: str
    how: Literal["all", "any", "fill"]
    parts: tuple[Step, ...]
    n: int | None = None
    shortage: Shortage = "accept"


@dataclass(frozen=True)
class Diverse:
    """Keeps n rows of each group that are unlike each other, by the vectors of a fact table.

    `source`: the table, with columns row_id and features.
    """

    path: str
    label: str
    order: Order
    n: int
    by: str | None
    shortage: Literal["error", "accept"]
    source: ds.Dataset = field(compare=False, repr=False)


Step = Flag | Listed | Limit | Rank | Diverse | Combine


def is_row_wise(step: Step) -> bool:
    """True for a step that needs no other row to decide about one."""
    if isinstance(step, Combine):
        return step.how != "fill" and all(is_row_wise(part) for part in step.parts)
    return not isinstance(step, Rank | Diverse)


@dataclass(frozen=True)
class Plan:
    """All that a selection needs to know.

    Attributes:
        status_ok: only rows with the status ok are candidates.
        where: SQL predicate of the source, None for none.
        where_reads: what it reads, as `SourceColumn.reads`.
        columns: that the steps read.
        steps: in order.
        tables: table kind (or view of another selection) -> the version that is read.
        list_hashes: path of each exclusion list -> hash of its content.
        class_names: of the teacher, None if unknown.
    """

    status_ok: bool
    where: str | None
    where_reads: tuple[str, ...] | None
    columns: tuple[SourceColumn, ...]
    steps: tuple[Step, ...]
    tables: Mapping[str, Any]
    list_hashes: Mapping[str, str]
    class_names: list[str] | None = field(default=None)
