"""The order in which images come up for keeping: the best first, by any score column.

The same total order that selections rank by: score, then content hash, then row_id; images without
a score come last. It hangs on the images alone, not on how shards were cut or scheduled, as long
as no two rows hold the same bytes and the same score; those are ordered by row_id.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from selector.neighbors.greedy import IntArray
from selector.policies.columns import Columns, HashArray, best_first
from selector.recipe_model import Recipe
from selector.selecting.bind import bind
from selector.selecting.plan import Rank
from selector.selecting.rows import order_of
from selector.selecting.source import candidates
from selector.selecting.stream import can_stream, stream
from selector.tables.connection import RunTables, connect_tables
from shards.errors import UsageError

DEFAULT_ORDER = "noise_value"


@dataclass(frozen=True)
class Ranking:
    """M images with status ok.

    Attributes:
        row_ids: (M,) int64, the best first.
        hash_high, hash_low: (M,) uint64, halves of the content hash of each.
        order: what they are ranked by, in words, such as "lowest noise_value".
    """

    row_ids: IntArray
    hash_high: HashArray
    hash_low: HashArray
    order: str


def rank_rows(
    tables: RunTables,
    *,
    by: str = DEFAULT_ORDER,
    descending: bool | None = None,
    where: str | None = None,
    threads: int | None = None,
) -> Ranking:
    """Rank the images of a run.

    Memory: about 80 bytes a row while it runs, 24 after.

    Args:
        by: a column of scores, `kind.column` of a fact table, or `random`.
        descending: None = the end that the column's metadata calls better.
        where: SQL predicate over scores: rank those images alone.

    Raises:
        UsageError: no such column, or not one of numbers; names those that there are.
    """
    take = {"quantile": 1.0, "order": by, "descending": descending}
    recipe = Recipe.model_validate({"source": {"where": where}, "steps": [{"take": take}]})
    with connect_tables(tables, threads=threads) as connection:
        try:
            plan = bind(recipe, connection, tables, class_names=None, selection_hashes={})
        except UsageError as error:
            raise UsageError(str(error).replace("steps[0].take.order", "--keep-by")) from error
        step = plan.steps[0]
        assert isinstance(step, Rank)
        parts = [
            (chunk["row_id"], order_of(step.order, chunk), chunk["tie_high"], chunk["tie_low"])
            for chunk in (
                stream(connection, tables, plan)
                if can_stream(plan, tables)
                else candidates(connection, plan)
            )
        ]
    if not parts:
        none = np.empty(0, np.uint64)
        return Ranking(np.empty(0, np.int64), none, none, step.order.words)
    row_id, order, high, low = (np.concatenate(part) for part in zip(*parts, strict=True))
    del parts
    # A row without a score is somebody's duplicate before it is anybody's original.
    order = np.where(np.isnan(order), np.inf, order)
    columns = Columns(row_id, order, high, low, np.zeros(len(row_id), np.int64))
    best = best_first(columns)
    return Ranking(row_id[best], high[best], low[best], step.order.words)
