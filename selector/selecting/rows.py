"""Steps that decide about one row alone: a chunk in, a mask out."""

from __future__ import annotations

import numpy as np

from selector.policies.columns import Columns, FloatArray, IntArray, Mask
from selector.policies.compose import listed
from selector.policies.draw import random_order
from selector.policies.ranking import up_to
from selector.selecting.plan import Combine, Flag, Limit, Listed, Order, Rank, Step
from selector.selecting.source import Chunk


def keeps(step: Step, chunk: Chunk) -> Mask:
    """Mask (N,) of the rows that a row-wise step keeps (see `is_row_wise`)."""
    match step:
        case Flag():
            flags: Mask = chunk[step.column]
            return flags if step.keep else ~flags
        case Listed():
            return ~listed(chunk["row_id"], step.row_ids)
        case Limit():
            return up_to(order_of(step.order, chunk), limit=step.limit)
        case Combine(how="all"):
            return np.logical_and.reduce([keeps(part, chunk) for part in step.parts])
        case Combine(how="any"):
            return np.logical_or.reduce([keeps(part, chunk) for part in step.parts])
        case _:
            raise ValueError(f"{step.path} compares rows")


def order_of(order: Order, chunk: Chunk) -> FloatArray:
    """What rows are ranked by (N,), the first the lowest; NaN for rows without a value."""
    if order.column is None:
        return random_order(chunk["row_id"], seed=order.seed)
    values: FloatArray = chunk[order.column]
    return values if order.sign > 0 else -values


def columns_of(order: Order, chunk: Chunk, group: IntArray | None = None) -> Columns:
    """The chunk as a policy sees it; one group unless groups (N,) are given."""
    if group is None:
        group = np.zeros(len(chunk["row_id"]), dtype=np.int64)
    return Columns(
        chunk["row_id"], order_of(order, chunk), chunk["tie_high"], chunk["tie_low"], group
    )


def group_of(step: Rank, chunk: Chunk, groups: IntArray) -> IntArray:
    """Position (N,) of each row's group in the sorted `groups` (G,); -1 for none of them."""
    if step.by is None:
        return np.zeros(len(chunk["row_id"]), dtype=np.int64)
    values = chunk[step.by]
    if len(groups) == 0:
        return np.full(len(values), -1, dtype=np.int64)
    if groups[-1] - groups[0] == len(groups) - 1:  # without gaps, as class numbers are
        known = (values >= groups[0]) & (values <= groups[-1])
        return np.where(known, values - groups[0], -1)
    place = np.minimum(np.searchsorted(groups, values), len(groups) - 1)
    return np.where(groups[place] == values, place, -1)


def count_values(values: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct values (M,), sorted, and how often each occurs."""
    if len(values) == 0:
        return values, values
    low, high = int(values.min()), int(values.max())
    if high - low > 4 * len(values) + 1024:
        return np.unique(values, return_counts=True)
    counts = np.bincount(values - low)  # several times as fast as sorting
    found = np.flatnonzero(counts)
    return found + low, counts[found]


def take_rows(chunk: Chunk, where: Mask | IntArray) -> Chunk:
    """The rows of a mask or an index array; the chunk itself when a mask drops none."""
    if where.dtype == np.bool_ and where.all():
        return chunk
    return {name: values[where] for name, values in chunk.items()}


def concatenate(chunks: list[Chunk]) -> Chunk:
    """Chunks (at least one) one after another."""
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
