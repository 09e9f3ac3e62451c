from __future__ import annotations

import pytest
import torch

from selector.teachers.agreement import GATE, Agreement, agreement


def logits(num: int = 200) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(num, 10, generator=generator) * torch.rand(num, 1, generator=generator) * 9


def test_a_way_agrees_with_itself_and_with_its_multiples_in_the_argmax() -> None:
    assert agreement(logits(), logits()) == Agreement(1.0, 1.0, 1.0)
    found = agreement(logits(), -logits())
    assert found.argmax == 0
    assert not found.holds


def test_the_figures_of_a_known_swap() -> None:
    exact = torch.tensor([[9.0, 0], [8, 0], [0, 2], [0, 1]])
    other = torch.tensor([[9.0, 0], [1, 0], [0, 2], [3, 0]])  # the 2nd sinks, the 4th turns
    found = agreement(exact, other)
    assert found.argmax == 0.75
    assert found.jaccard == pytest.approx(1 / 3)  # {1st, 2nd} and {1st, 4th}
    assert found.rank == pytest.approx(1 - 6 * (0 + 4 + 0 + 4) / (4 * 15))


def test_the_gate_is_reached_by_every_figure_or_not_at_all() -> None:
    assert GATE.holds
    assert not Agreement(0.9949, 1, 1).holds
    assert not Agreement(1, 0.979, 1).holds
    assert not Agreement(1, 1, 0.949).holds
    nothing = agreement(torch.zeros(8, 4), torch.zeros(8, 4))
    assert not nothing.holds, "nothing was ranked"
    assert nothing.to_dict() == {"rank": None, "argmax": 1.0, "jaccard": 1.0}


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="of at least 2 images"):
        agreement(logits(1), logits(1))
    with pytest.raises(ValueError, match="expected the same"):
        agreement(logits(4), logits(5))
