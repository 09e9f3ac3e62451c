"""The order in which images come up for keeping: the best first, by any score column.

Nearly the total order that selections rank by: score, then content hash; images without a score
come last. Rows of the same score and bytes are ordered by key, and only those that share even that
by row_id. So the order hangs on the images and their names, not on which shard came first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from selector.neighbors.greedy import IntArray
from selector.neighbors.vector_file import RowNumbers
from selector.policies.columns import Columns, FloatArray, HashArray, best_first
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
    del columns
    best = best[_twins_by_key(tables, row_id[best], order[best], high[best], low[best])]
    return Ranking(row_id[best], high[best], low[best], step.order.words)


def _twins_by_key(
    tables: RunTables, row_id: IntArray, order: FloatArray, high: HashArray, low: HashArray
) -> IntArray:
    """Order (M,) of rows in their total order, those of one score and hash by key."""
    index = np.arange(len(row_id))
    same = (order[1:] == order[:-1]) & (high[1:] == high[:-1]) & (low[1:] == low[:-1])
    twin = np.zeros(len(row_id), dtype=bool)
    twin[1:] |= same
    twin[:-1] |= same
    places = np.flatnonzero(twin)
    if not len(places):
        return index
    group = np.concatenate([[0], np.cumsum(~same)])[places].tolist()
    ids = row_id[places]
    number_of = RowNumbers(ids)
    keys = [""] * len(ids)
    for batch in tables.views["scores"].scanner(columns=["row_id", "key"]).to_batches():
        numbers = number_of(batch.column("row_id").to_numpy())
        at = np.flatnonzero(numbers >= 0)
        for number, key in zip(
            numbers[at].tolist(), batch.column("key").take(at).to_pylist(), strict=True
        ):
            keys[number] = key
    by_key = sorted(range(len(ids)), key=lambda n: (group[n], keys[n], int(ids[n])))
    index[places] = places[by_key]
    return index
