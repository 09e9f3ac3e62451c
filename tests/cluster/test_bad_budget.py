from __future__ import annotations

import pytest

from cluster.bad_budget import BadBudget
from shards.errors import UsageError


@pytest.mark.parametrize(
    ("text", "bad", "total", "allowed"),
    [
        ("5%", 5, 100, True), ("5%", 6, 100, False), ("0.05", 5, 100, True),
        ("0%", 0, 100, True), ("0", 1, 100, False), ("200", 200, 201, True),
        ("200", 201, 10**9, False), ("100%", 7, 7, True), ("5%", 0, 0, True),
    ],
)  # fmt: skip
def test_a_budget_is_a_share_or_a_count(text: str, bad: int, total: int, allowed: bool) -> None:
    assert BadBudget.parse(text).allows(bad, total) is allowed


@pytest.mark.parametrize("text", ["", "many", "-1", "120%", "1.5", "-3%", "%"])
def test_anything_else_is_wrong_use(text: str) -> None:
    with pytest.raises(UsageError, match="--max-bad"):
        BadBudget.parse(text)
