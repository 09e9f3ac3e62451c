from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import kstest
from torch import Tensor

from distiller.losses.robust import (
    class_loss_sums,
    one_sided_class_weights,
    sample_class_weights,
    weight_bounds,
    weighted_loss,
    winning_row,
    worst_class_weights,
)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Tensor, Tensor, float, bool]:
    """Sums S, weights w, eps and whether it is relative; with ties, zeros, and boxes cut at 0."""
    num = draw(st.integers(1, 7))
    number = st.one_of(st.sampled_from([0.0, 1.0, 2.0]), st.floats(0, 5))
    sums, weights = (
        torch.tensor(draw(st.lists(number, min_size=num, max_size=num)), dtype=torch.float64)
        for _ in range(2)
    )
    return sums, weights, draw(st.sampled_from([0.0, 0.1, 0.5, 3.0])), draw(st.booleans())


@given(problems())
def test_the_worst_weights_are_those_of_a_linear_program(
    problem: tuple[Tensor, Tensor, float, bool],
) -> None:
    sums, weights, eps, relative = problem
    low, high = weight_bounds(weights, eps=eps, relative=relative)
    worst = worst_class_weights(sums, weights, low, high)
    found = linprog(
        -sums.numpy(),
        A_eq=np.ones((1, len(sums))),
        b_eq=[float(weights.sum())],
        bounds=list(zip(low.tolist(), high.tolist(), strict=True)),
        method="highs",
    )
    assert float(worst @ sums) == pytest.approx(-found.fun, abs=1e-8)
    assert float(worst.sum()) == pytest.approx(float(weights.sum()), abs=1e-9)
    assert bool(((worst >= low - 1e-12) & (worst <= high + 1e-12)).all())
    assert float(worst @ sums) >= float(weights @ sums) - 1e-9


def test_the_worst_weights_beat_every_vertex() -> None:
    """W's vertices have all coordinates at a bound but one, which the sum decides."""
    sums = torch.tensor([0.3, 2.0, 1.0, 0.3], dtype=torch.float64)
    weights = torch.tensor([0.05, 1.0, 2.0, 0.4], dtype=torch.float64)
    low, high = weight_bounds(weights, eps=0.3)
    values = []
    for free in range(4):
        others = [k for k in range(4) if k != free]
        for ends in itertools.product((0, 1), repeat=3):
            vertex = torch.zeros(4, dtype=torch.float64)
            for k, end in zip(others, ends, strict=True):
                vertex[k] = (low, high)[end][k]
            vertex[free] = weights.sum() - vertex.sum()
            if low[free] <= vertex[free] <= high[free]:
                values.append(float(vertex @ sums))
    worst = worst_class_weights(sums, weights, low, high)
    assert float(worst @ sums) == pytest.approx(max(values))


@given(problems(), st.integers(0, 99))
def test_every_sampled_vector_lies_in_w(
    problem: tuple[Tensor, Tensor, float, bool], seed: int
) -> None:
    _, weights, eps, relative = problem
    low, high = weight_bounds(weights, eps=eps, relative=relative)
    generator = torch.Generator().manual_seed(seed)
    drawn = sample_class_weights(weights, low, high, num=3, generator=generator, sweeps=5)
    assert bool(((drawn >= low) & (drawn <= high)).all())
    torch.testing.assert_close(drawn.sum(dim=1), weights.sum().expand(3))


def test_samples_are_uniform_on_w() -> None:
    """Against rejection from the box around (w'_1, w'_2, w'_3), with the fourth from the sum; the
    box is cut at 0 for one class, so W has no symmetry to hide behind."""
    weights = torch.tensor([0.1, 1.0, 0.6, 1.3], dtype=torch.float64)
    low, high = weight_bounds(weights, eps=0.5)
    drawn = sample_class_weights(
        weights, low, high, num=4000, generator=torch.Generator().manual_seed(0)
    ).numpy()
    rng = np.random.default_rng(1)
    tried = rng.uniform(low.numpy()[:3], high.numpy()[:3], (60_000, 3))
    last = float(weights.sum()) - tried.sum(axis=1)
    accepted = np.c_[tried, last][(last >= float(low[3])) & (last <= float(high[3]))]
    for k in range(4):
        assert kstest(drawn[:, k], accepted[:, k]).pvalue > 0.001
    assert bool((drawn > weights.numpy()).any(axis=0).all())  # two-sided
    assert bool((drawn < weights.numpy()).any(axis=0).all())


def test_a_dropped_class_stays_dropped() -> None:
    weights = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    low, high = weight_bounds(weights, eps=0.5)
    sums = torch.tensor([9.0, 1.0, 1.0], dtype=torch.float64)
    assert float(worst_class_weights(sums, weights, low, high)[0]) == 0
    generator = torch.Generator().manual_seed(0)
    assert bool(
        (sample_class_weights(weights, low, high, num=5, generator=generator)[:, 0] == 0).all()
    )
    assert bool((one_sided_class_weights(weights, eps=0.5, generator=generator)[:, 0] == 0).all())


@given(st.lists(st.floats(0, 10), min_size=4, max_size=4), st.integers(0, 99))
def test_the_papers_maximum_always_takes_the_perturbed_vector(sums: list[float], seed: int) -> None:
    """Its max does nothing: whatever the losses, the same row wins (or both give the same)."""
    weights = torch.tensor([0.2, 1.0, 1.5, 1.3], dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    candidates = one_sided_class_weights(weights, eps=0.1, generator=generator)
    losses = candidates @ torch.tensor(sums, dtype=torch.float64)
    assert float(losses[1]) >= float(losses[0])


def test_among_two_sided_vectors_the_winner_hangs_on_the_losses() -> None:
    weights = torch.ones(5, dtype=torch.float64)
    low, high = weight_bounds(weights, eps=0.3)
    generator = torch.Generator().manual_seed(3)
    candidates = sample_class_weights(weights, low, high, num=4, generator=generator)
    winners = {int(winning_row(torch.eye(5, dtype=torch.float64)[k], candidates)) for k in range(5)}
    assert len(winners) > 1


def test_the_loss_is_the_weighted_mean_and_its_gradient_that_of_the_winner() -> None:
    values = torch.tensor([1.0, 2.0, 3.0, 5.0], dtype=torch.float64, requires_grad=True)
    classes = torch.tensor([0, 2, 0, 1])
    sample_weights = torch.tensor([1.0, 0.5, 1.0, 2.0], dtype=torch.float64)
    sums = class_loss_sums(values, classes, num_classes=3, weights_N=sample_weights)
    assert sums.tolist() == [4.0, 10.0, 1.0]
    winner = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64, requires_grad=True)
    loss = weighted_loss(sums, winner, count=4)
    assert float(loss.detach()) == pytest.approx((0.5 * 4 + 2 * 10 + 1) / 4)
    loss.backward()
    assert values.grad is not None
    expected = winner.detach()[classes] * sample_weights / 4
    torch.testing.assert_close(values.grad, expected)
    assert winner.grad is None


def test_sums_of_shares_of_a_batch_add_up_to_the_same_choice() -> None:
    """What processes of one run do: each sums its part, the sums are added, all choose alike."""
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(64, generator=generator, dtype=torch.float64)
    classes = torch.randint(0, 6, (64,), generator=generator)
    whole = class_loss_sums(values, classes, num_classes=6)
    parts = [class_loss_sums(values[i::2], classes[i::2], num_classes=6) for i in range(2)]
    torch.testing.assert_close(parts[0] + parts[1], whole)
    weights = torch.ones(6, dtype=torch.float64)
    low, high = weight_bounds(weights, eps=0.2)
    torch.testing.assert_close(
        worst_class_weights(parts[0] + parts[1], weights, low, high),
        worst_class_weights(whole, weights, low, high),
    )


def test_wrong_input_is_told() -> None:
    with pytest.raises(ValueError, match="expected >= 0"):
        weight_bounds(torch.tensor([-1.0, 1.0]), eps=0.1)
    with pytest.raises(ValueError, match="expected the same"):
        class_loss_sums(torch.zeros(3), torch.zeros(2, dtype=torch.int64), num_classes=2)
    with pytest.raises(ValueError, match="at least 1"):
        sample_class_weights(*torch.ones(3, 2), num=0, generator=torch.Generator())
