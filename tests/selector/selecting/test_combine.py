from collections import Counter

import numpy as np
import pytest

from selector.selecting.combine import Collector, CombineRunner, make_runner
from selector.selecting.plan import Combine, Flag, Limit, Order, Rank, Step
from selector.selecting.rank import Kept, RankRunner
from selector.selecting.source import Chunk
from shards.errors import UsageError

X, Y = Order("x", 1, 0, False, "lowest x"), Order("y", 1, 0, False, "lowest y")
BY_X = Rank("a", "x", X, 3, None, None, "accept")
BY_Y = Rank("b", "y", Y, 3, None, None, "accept")
EVEN = Flag("c", "even", "even", keep=True)


def chunk(start: int, stop: int) -> Chunk:
    """x rises, y falls with the row_id 0 .. 9."""
    row_id = np.arange(start, stop)
    zeros = np.zeros(len(row_id), dtype=np.uint64)
    return {
        "row_id": row_id,
        "tie_high": zeros,
        "tie_low": zeros,
        "x": row_id.astype(np.float64),
        "y": 9.0 - row_id,
        "even": row_id % 2 == 0,
    }


def run(step: Step) -> Kept:
    runner = make_runner(step, counts={}, class_names=None)
    for start in (0, 4, 8):
        runner.add(chunk(start, min(start + 4, 10)))
    return runner.finish()


def ids(kept: Kept) -> list[int]:
    return sorted(kept.chunk["row_id"].tolist())


def combine(how, *parts: Step, n: int | None = None, shortage="accept") -> Combine:
    return Combine("p", how, how, parts, n, shortage)


def test_any_is_the_union_with_the_part_that_took_a_row_first() -> None:
    kept = run(combine("any", BY_X, EVEN))
    assert ids(kept) == [0, 1, 2, 4, 6, 8]
    labels = {
        int(row): kept.labels[code]
        for row, code in zip(kept.chunk["row_id"], kept.reason, strict=True)
    }
    assert labels == {0: "x", 1: "x", 2: "x", 4: "even", 6: "even", 8: "even"}
    assert [part["rows_out"] for part in kept.details["parts"]] == [3, 5]


def test_all_is_the_intersection_of_parts_that_saw_the_same_rows() -> None:
    assert ids(run(combine("all", BY_X, EVEN))) == [0, 2]
    assert ids(run(combine("all", BY_X, BY_Y))) == []
    wide = Rank("b", "y", Y, 9, None, None, "accept")
    assert ids(run(combine("all", BY_X, wide))) == [1, 2]


def test_a_mask_in_an_intersection_costs_no_memory() -> None:
    runner = CombineRunner(combine("all", BY_X, EVEN), counts={}, class_names=None)
    runner.add(chunk(0, 10))
    assert runner.peak_rows == 10
    both = CombineRunner(combine("any", BY_X, EVEN), counts={}, class_names=None)
    both.add(chunk(0, 10))
    assert both.peak_rows == 15


def test_fill_takes_from_one_part_after_another() -> None:
    limit = Limit("c", "limit", Y, 5.0)
    kept = run(combine("fill", BY_X, limit, n=5))
    assert ids(kept) == [0, 1, 2, 8, 9]
    assert [kept.labels[code] for code in kept.reason] == ["x"] * 3 + ["limit"] * 2
    first, second = kept.details["parts"]
    assert (first["taken"], second["taken"]) == (3, 2)
    assert second["last_taken"]["row_id"] == 8
    assert ids(run(combine("fill", BY_X, limit, n=2))) == [0, 1]


def test_fill_tells_when_it_stays_short() -> None:
    with pytest.raises(UsageError, match="p: 9 rows wanted, 6 there"):
        run(combine("fill", BY_X, BY_Y, n=9, shortage="error"))
    assert run(combine("fill", BY_X, BY_Y, n=9)).warnings == ("p: 9 rows wanted, 6 there",)


def test_parts_may_be_combinations() -> None:
    inner = combine("all", BY_X, EVEN)
    assert ids(run(combine("any", inner, BY_Y))) == [0, 2, 7, 8, 9]


def test_each_step_gets_its_runner() -> None:
    def made(step: Step) -> type:
        return type(make_runner(step, counts={"q": Counter({0: 1})}, class_names=None))

    assert made(BY_X) is RankRunner
    assert made(EVEN) is Collector
    assert made(combine("any", EVEN, EVEN)) is Collector
    assert made(combine("any", EVEN, BY_X)) is CombineRunner


def test_a_collector_of_ids_lets_the_rest_go() -> None:
    collector = Collector(None, only_row_ids=True)
    collector.add(chunk(0, 4))
    assert set(collector.finish().chunk) == {"row_id"}
