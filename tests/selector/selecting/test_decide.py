import numpy as np
import pytest

from selector.selecting.decide import decide
from selector.selecting.plan import Combine, Flag, Limit, Listed, Order, Rank
from selector.selecting.source import NO_GROUP, Chunk

LOWEST = Order("noise", 1, 0, False, "lowest noise")
HIGHEST = Order("noise", -1, 0, False, "highest noise")
DRAW = Order(None, 1, 3, False, "at random (seed 3)")


def row(noise: float = 0.5, *, flag: bool = True, label: int = 2, tie: int = 5) -> Chunk:
    return {
        "row_id": np.array([7]),
        "tie_high": np.array([tie], dtype=np.uint64),
        "tie_low": np.array([0], dtype=np.uint64),
        "noise": np.array([noise]),
        "flag": np.array([flag]),
        "group label": np.array([label]),
    }


def cut(value: float, **more: object) -> dict:
    key = {"value": value, "content_hash": f"{5:016x}{0:016x}", "row_id": 7}
    return {"cuts": [{"available": 9, "kept": 4, **key, **more}]}


RANK = Rank("p", "take", LOWEST, 4, None, None, "error")
QUOTA = Rank("p", "quota", LOWEST, 4, None, "group label", "accept")


@pytest.mark.parametrize(
    ("step", "entry", "chunk", "kept", "text"),
    [
        (Flag("p", "w", "flag", keep=True), {}, row(), True, "true"),
        (Flag("p", "w", "flag", keep=True), {}, row(flag=False), False, "not true"),
        (Flag("p", "d", "flag", keep=False), {}, row(), False, "duplicate of another row"),
        (Listed("p", "l", np.array([7]), None), {}, row(), False, "on the list"),
        (Listed("p", "l", np.array([8]), None), {}, row(), True, "not on the list"),
        (Limit("p", "t", LOWEST, 0.4), {}, row(), False, "noise 0.5, beyond the limit 0.4"),
        (Limit("p", "t", HIGHEST, -0.4), {}, row(), True, "noise 0.5, within the limit 0.4"),
        (RANK, cut(0.6), row(), True, "noise 0.5, within the cut 0.6; 4 of 9 rows kept"),
        (RANK, cut(0.4), row(), False, "noise 0.5, beyond the cut 0.4; 4 of 9 rows kept"),
        (
            RANK,
            cut(0.5),
            row(tie=6),
            False,
            "noise 0.5, beyond the cut 0.5 (equal: the content hash decides); 4 of 9 rows kept",
        ),
        (RANK, cut(0.4), row(np.nan), False, "noise is null: rows without a value are never taken"),
        (
            QUOTA,
            cut(0.6, group=2, name="2 (eel)"),
            row(),
            True,
            "noise 0.5, within the cut 0.6; 4 of 9 rows of label 2 (eel) kept",
        ),
        (
            QUOTA,
            cut(0.6, group=2, name="2 (eel)"),
            row(label=NO_GROUP),
            False,
            "label is null: rows without a group are never taken",
        ),
        (QUOTA, {"cuts": []}, row(), False, "noise 0.5; 0 of 0 rows kept"),
    ],
)
def test_a_decision_and_its_words(step, entry: dict, chunk: Chunk, kept: bool, text: str) -> None:
    decision = decide(step, entry, chunk)
    assert (decision.kept, decision.text) == (kept, text)


def test_a_draw_is_told_with_its_seed() -> None:
    step = Rank("p", "sample", DRAW, 4, None, None, "error")
    assert decide(step, cut(1.0), row()).text.startswith("random draw (seed 3) 0.")


def test_combinations_tell_each_part() -> None:
    limit = Limit("a", "low", LOWEST, 0.4)
    flag = Flag("b", "big", "flag", keep=True)
    both = decide(Combine("p", "all", "all", (limit, flag)), {}, row())
    assert not both.kept
    assert both.text == "all of [low: out, noise 0.5, beyond the limit 0.4 | big: in, true]"
    assert decide(Combine("p", "any", "any", (limit, flag)), {}, row()).kept


def test_fill_looks_at_the_last_row_that_each_part_gave() -> None:
    part = Limit("a", "low", LOWEST, 0.9)
    step = Combine("p", "fill", "fill", (part, part), 5)

    def entry(value: float) -> dict:
        last = {"value": value, "content_hash": "0" * 32, "row_id": 0}
        return {"parts": [{"path": "a", "last_taken": last}]}

    assert decide(step, entry(0.6), row()).kept
    refused = decide(step, entry(0.4), row())
    assert not refused.kept
    assert "the 5 places were filled before its turn" in refused.text
    assert not decide(step, {"parts": [{"path": "a", "taken": 0}]}, row()).kept
