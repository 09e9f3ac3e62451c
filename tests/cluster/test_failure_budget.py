from __future__ import annotations

import pytest

from cluster.bad_budget import BadBudget
from cluster.failure_budget import BudgetExceeded, check_images, check_parts

FIVE_PERCENT = BadBudget.parse("5%")


def look(failed: int, seen: int, *, budget: BadBudget = FIVE_PERCENT, share: float = 0.1) -> None:
    check_images(budget, failed=failed, seen=seen, bytes_done=share * 1e9, bytes_total=1e9)


def test_few_images_say_nothing_and_a_bad_stretch_is_no_reason_to_stop() -> None:
    look(999, 999)
    look(1000, 2500)  # 40 % of a tenth: no more than 5 % in all, if the rest is good
    look(0, 10**9)


def test_what_cannot_come_right_any_more_is_stopped() -> None:
    with pytest.raises(BudgetExceeded, match=r"1,301 of the first 2,600 .* --max-bad is 5%") as e:
        look(1301, 2600, share=0.1)
    assert e.value.exit_code == 3
    with pytest.raises(BudgetExceeded):
        look(200, 1900, share=0.5)
    with pytest.raises(BudgetExceeded):
        look(11, 1000, budget=BadBudget.parse("10"))
    look(10, 1000, budget=BadBudget.parse("10"))


def test_what_fails_mostly_is_stopped_unless_that_was_asked_for() -> None:
    with pytest.raises(BudgetExceeded):
        look(1100, 2000, share=1e-6)
    look(1100, 2000, budget=BadBudget.parse("100%"), share=1e-6)


def test_shards_that_fail_one_after_the_other() -> None:
    check_parts(quarantined=9, ended=9)
    check_parts(quarantined=10, ended=20)
    with pytest.raises(BudgetExceeded, match="11 of the first 20 parts"):
        check_parts(quarantined=11, ended=20)
