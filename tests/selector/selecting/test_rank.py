import json
import math
from collections import Counter

import numpy as np
import pytest

from selector.policies.columns import Columns
from selector.selecting.plan import Order, Rank
from selector.selecting.rank import RankRunner, count, cut_key, is_within, needs_counts
from selector.selecting.source import NO_GROUP, Chunk
from shards.errors import UsageError

LOWEST = Order("x", 1, 0, True, "lowest x")
HIGHEST = Order("x", -1, 0, True, "highest x")
NAMES = ["cat", "dog", "eel"]


def step(order: Order = LOWEST, **options) -> Rank:
    defaults = {"n": 2, "quantile": None, "by": None, "shortage": "error"}
    return Rank("steps[0].take", "label", order, **{**defaults, **options})


def chunk(x: list[float], group: list[int] | None = None) -> Chunk:
    size = len(x)
    return {
        "row_id": np.arange(size),
        "tie_high": np.arange(size, dtype=np.uint64)[::-1].copy(),
        "tie_low": np.zeros(size, dtype=np.uint64),
        "x": np.array(x, dtype=np.float64),
        "group pseudo_label": np.array(group if group is not None else [0] * size, dtype=np.int64),
        "extra": np.arange(size) * 10,
    }


def run(rank: Rank, rows: Chunk, names: list[str] | None = None):
    counts: Counter[int] = Counter()
    if needs_counts(rank):
        count(rank, rows, counts)
    runner = RankRunner(rank, counts=counts, class_names=names)
    runner.add(rows)
    return runner.finish()


def test_it_keeps_the_first_rows_and_what_they_carry() -> None:
    kept = run(step(), chunk([3.0, 1.0, np.nan, 2.0]))
    assert sorted(kept.chunk["row_id"].tolist()) == [1, 3]
    np.testing.assert_array_equal(kept.chunk["extra"], kept.chunk["row_id"] * 10)
    assert kept.details["unranked"] == 1
    (cut,) = kept.details["cuts"]
    assert (cut["available"], cut["kept"], cut["value"], cut["row_id"]) == (3, 2, 2.0, 3)


def test_a_cut_has_the_value_as_it_is_stored_also_for_the_highest() -> None:
    (cut,) = run(step(HIGHEST), chunk([3.0, 1.0, 2.0])).details["cuts"]
    assert cut["value"] == 2.0


def test_a_share_is_of_the_rows_that_have_a_value() -> None:
    kept = run(step(n=None, quantile=0.5), chunk([3.0, 1.0, np.nan, 2.0, 5.0, 4.0]))
    assert sorted(kept.chunk["row_id"].tolist()) == [1, 3]
    assert kept.warnings == ()


def test_too_few_rows_are_an_error_or_a_warning() -> None:
    with pytest.raises(UsageError, match=r"steps\[0\]\.take: 5 rows wanted, 2 there; lower n"):
        run(step(n=5), chunk([1.0, 2.0, np.nan]))
    kept = run(step(n=5, shortage="accept"), chunk([1.0, 2.0, np.nan]))
    assert kept.warnings == ("steps[0].take: 5 rows wanted, 2 there",)


def quota(n: int, shortage: str) -> Rank:
    return step(n=n, by="group pseudo_label", shortage=shortage)


ROWS = chunk([1.0, 2.0, 3.0, 4.0, np.nan, 6.0], [0, 0, 0, 1, 1, NO_GROUP])


def test_a_short_group_is_named_with_its_class() -> None:
    with pytest.raises(UsageError) as caught:
        run(quota(2, "error"), ROWS, NAMES)
    assert "2 of 3 groups have fewer than 2 rows: 1 (dog): 1, 2 (eel): 0" in str(caught.value)
    kept = run(quota(2, "accept"), ROWS, NAMES)
    assert sorted(kept.chunk["row_id"].tolist()) == [0, 1, 3]
    assert "1 (dog): 1, 2 (eel): 0; left short" in kept.warnings[0]
    assert kept.details["unranked"] == 2
    assert [(c["name"], c["available"], c["kept"]) for c in kept.details["cuts"]] == [
        ("0 (cat)", 3, 2),
        ("1 (dog)", 1, 1),
        ("2 (eel)", 0, 0),
    ]


def test_without_class_names_the_groups_are_those_that_have_rows() -> None:
    kept = run(quota(1, "error"), ROWS)
    assert [cut["name"] for cut in kept.details["cuts"]] == ["0", "1"]
    assert kept.warnings == ()


def test_redistribution_fills_all_places_or_says_that_it_cannot() -> None:
    kept = run(quota(2, "redistribute"), ROWS)
    assert sorted(kept.chunk["row_id"].tolist()) == [0, 1, 2, 3]
    assert "others fill their places" in kept.warnings[0]
    with pytest.raises(UsageError, match=r"6 rows wanted \(2 for each of 3 groups\), 4 there"):
        run(quota(2, "redistribute"), ROWS, NAMES)


def test_nothing_in_nothing_out() -> None:
    for rank in (step(), quota(1, "error")):
        kept = run(rank, chunk([]))
        assert len(kept.chunk["row_id"]) == 0
        assert set(kept.chunk) == set(ROWS)


def test_rows_before_and_at_the_cut_are_within_it() -> None:
    high = np.array([5, 5, 6, 5, 0], dtype=np.uint64)
    low = np.array([1, 1, 0, 2, 0], dtype=np.uint64)
    order = np.array([1.0, 1.0, 1.0, 1.0, np.nan])
    rows = Columns(np.array([7, 8, 1, 1, 1]), order, high, low, np.zeros(5, dtype=np.int64))
    cut = cut_key(LOWEST, rows, 1)
    assert [is_within(LOWEST, rows, at, cut) for at in range(5)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert not is_within(LOWEST, rows, 0, {"kept": 0})


def test_a_cut_survives_json_even_at_infinity() -> None:
    zeros = np.zeros(2, dtype=np.uint64)
    rows = Columns(np.arange(2), np.array([-math.inf, -0.0]), zeros, zeros, np.zeros(2, np.int64))
    cut = json.loads(json.dumps(cut_key(HIGHEST, rows, 0), allow_nan=False))
    assert is_within(HIGHEST, rows, 0, cut)
    assert not is_within(HIGHEST, rows, 1, cut)
