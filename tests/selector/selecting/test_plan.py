import dataclasses

import numpy as np
import pytest

from selector.selecting.plan import Combine, Flag, Limit, Listed, Order, Rank, is_row_wise

ORDER = Order("x", 1, 0, False, "lowest x")
FLAG = Flag("p", "flag", "flag", keep=True)
RANK = Rank("p", "rank", ORDER, 1, None, None, "error")


@pytest.mark.parametrize(
    ("step", "alone"),
    [
        (FLAG, True),
        (Listed("p", "listed", np.array([1]), None), True),
        (Limit("p", "limit", ORDER, 1.0), True),
        (RANK, False),
        (Combine("p", "all", "all", (FLAG, FLAG)), True),
        (Combine("p", "any", "any", (FLAG, Combine("p", "any", "any", (FLAG, RANK)))), False),
        (Combine("p", "fill", "fill", (RANK, RANK), 1), False),
    ],
)
def test_which_steps_look_at_one_row_alone(step, alone: bool) -> None:
    assert is_row_wise(step) is alone


def test_steps_are_values() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        FLAG.keep = False  # type: ignore[misc]
