from __future__ import annotations

from typing import Any

import pytest
import torch

from distiller.adversary import Adversary
from distiller.losses.robust import worst_class_weights
from distiller.robust_options import RobustOptions

WEIGHTS = torch.tensor([0.5, 1.0, 1.5, 1.0], dtype=torch.float64)
COUNTS = torch.tensor([1, 1, 1, 1])


def adversary(seed: int = 0, **options: Any) -> Adversary:
    return Adversary(WEIGHTS, RobustOptions(**{"eps": 0.3, **options}), seed=seed)


def sums(k: int) -> torch.Tensor:
    """All of the loss in class k."""
    return torch.eye(4, dtype=torch.float64)[k]


def test_none_keeps_the_nominal_weights() -> None:
    choice = adversary(adversary="none").choose(sums(0), COUNTS, step=0)
    assert choice.weights_C.tolist() == WEIGHTS.tolist()
    assert not [name for name in choice.figures if name.startswith("win_")]


@pytest.mark.parametrize("name", ["sampled", "worst_case"])
def test_the_winner_has_at_least_the_loss_of_its_rivals(name: str) -> None:
    tested = adversary(adversary=name, memory=0.0)
    for k in range(4):
        winner = tested.choose(sums(k), COUNTS, step=k).weights_C
        assert float(winner @ sums(k)) >= float((tested.candidates_MC @ sums(k)).max())
        assert float(winner.sum()) == pytest.approx(float(WEIGHTS.sum()))


def test_the_winner_changes_with_the_losses_and_is_logged() -> None:
    tested = adversary(num_vectors=6, memory=0.0)
    winners = set()
    for k in range(4):
        figures = tested.choose(sums(k), COUNTS, step=k).figures
        won = [m for m in range(6) if float(figures[f"win_{m}"])]
        assert len(won) == 1
        winners.add(won[0])
        assert float(figures["worst_class_kd"]) == 1.0
        assert [float(figures[f"class_kd_{c}"]) for c in range(4)] == sums(k).tolist()
    assert len(winners) > 1


def test_the_papers_second_vector_always_wins() -> None:
    tested = adversary(adversary="paper")
    for k in range(4):
        assert float(tested.choose(sums(k), COUNTS, step=k).figures["win_1"]) == 1


def test_vectors_are_drawn_once_or_at_every_step() -> None:
    fixed, again = adversary(), adversary()
    assert torch.equal(fixed.candidates_MC, again.candidates_MC)
    assert not torch.equal(fixed.candidates_MC, adversary(seed=1).candidates_MC)
    assert fixed.choose(sums(1), COUNTS, step=0)[0].tolist() == (
        fixed.choose(sums(1), COUNTS, step=1)[0].tolist()
    )
    redrawn = adversary(redraw=True)
    by_step = [redrawn.choose(sums(1), COUNTS, step=step)[0] for step in (0, 1, 2)]
    assert not torch.equal(by_step[1], by_step[2])
    assert torch.equal(by_step[1], adversary(redraw=True).choose(sums(1), COUNTS, step=1)[0])


def test_memory_averages_over_the_last_steps() -> None:
    tested = adversary(adversary="worst_case", memory=0.5)
    tested.choose(4 * sums(0), COUNTS, step=0)
    choice = tested.choose(sums(1), COUNTS, step=1)
    blend = sums(0) + 0.5 * sums(1)
    expected = worst_class_weights(blend, WEIGHTS, tested.low_C, tested.high_C)
    assert torch.equal(choice.weights_C, expected)


def test_processes_that_add_up_their_sums_choose_alike() -> None:
    """One process with the whole batch, and one that is handed the other's part by all_reduce."""
    options = RobustOptions(adversary="worst_case", eps=0.3)
    whole = Adversary(WEIGHTS, options, seed=0)
    other = torch.stack([sums(2), COUNTS.double()])
    half = Adversary(WEIGHTS, options, seed=0, all_reduce=lambda part: part + other)
    expected = whole.choose(sums(0) + sums(2), 2 * COUNTS, step=0)
    found = half.choose(sums(0), COUNTS, step=0)
    assert torch.equal(found.weights_C, expected.weights_C)
    assert found.figures["worst_class_kd"] == expected.figures["worst_class_kd"]


def test_its_state_goes_into_a_checkpoint_and_comes_back() -> None:
    first = adversary()
    first.choose(sums(3), COUNTS, step=0)
    second = adversary(seed=9)
    second.load_state_dict(first.state_dict())
    assert torch.equal(
        second.choose(sums(0), COUNTS, step=1)[0], first.choose(sums(0), COUNTS, step=1)[0]
    )


def test_a_thousand_classes_do_not_fill_the_log() -> None:
    many = Adversary(torch.ones(1000), RobustOptions(adversary="worst_case"), seed=0)
    figures = many.choose(torch.rand(1000), torch.ones(1000), step=0).figures
    assert figures.keys() == {"worst_class_kd"}
