from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selector.scores.noise_value import noise_value
from selector.scores.uncertainty import (
    entropy,
    margin,
    max_prob,
    pseudo_label,
    scores_from_logits,
)

logit_rows = st.lists(
    st.floats(-350, 350, width=32, allow_subnormal=False), min_size=2, max_size=12
)


def probabilities(logits: list[float]) -> list[Decimal]:
    """softmax with 400 digits, largest first."""
    powers = [Decimal(logit).exp() for logit in logits]
    total = sum(powers)
    return sorted((power / total for power in powers), reverse=True)


@given(logit_rows)
def test_all_scores_equal_their_definitions(logits: list[float]) -> None:
    with localcontext(prec=400):
        p = probabilities(logits)
        expected_entropy = float(-sum(q * q.ln() for q in p))
        expected_margin = float(p[0] - p[1])
        expected_max = float(p[0])
    scores = scores_from_logits(torch.tensor([logits], dtype=torch.float32))
    assert scores.entropy.item() == pytest.approx(expected_entropy, rel=1e-12, abs=0)
    assert scores.margin.item() == pytest.approx(expected_margin, rel=1e-12, abs=1e-300)
    assert scores.max_prob.item() == pytest.approx(expected_max, rel=1e-14)
    assert scores.pseudo_label.item() == int(np.argmax(np.float32(logits)))


@given(logit_rows)
def test_the_single_functions_agree_with_all_at_once(logits: list[float]) -> None:
    row = torch.tensor([logits])
    scores = scores_from_logits(row)
    assert torch.equal(scores.noise_value, noise_value(row))
    assert torch.equal(scores.entropy, entropy(row))
    assert torch.equal(scores.margin, margin(row))
    assert torch.equal(scores.max_prob, max_prob(row))
    assert torch.equal(scores.pseudo_label, pseudo_label(row))


@given(logit_rows)
def test_scores_lie_in_their_ranges(logits: list[float]) -> None:
    scores = scores_from_logits(torch.tensor([logits]))
    classes = len(logits)
    slack = 1 + 1e-12
    assert 0 < scores.entropy.item() <= np.log(classes) * slack
    assert scores.entropy.item() >= scores.noise_value.item() / slack
    assert 0 <= scores.margin.item() <= 1
    assert 1 / classes / slack <= scores.max_prob.item() <= 1
    assert scores.max_prob.item() == pytest.approx(np.exp(-scores.noise_value.item()), rel=1e-12)


def test_confident_entropy_keeps_its_relative_precision() -> None:
    for gap in (20.0, 40.0, 100.0, 700.0):
        value = entropy(torch.tensor([[gap, 0.0]], dtype=torch.float64)).item()
        # H = S + d S + O(S^2) for S = exp(-d)
        assert value == pytest.approx((1 + gap) * np.exp(-gap), rel=1e-7, abs=0)


def test_the_first_of_equal_logits_is_the_label() -> None:
    assert pseudo_label(torch.tensor([[1.0, 5.0, 5.0], [2.0, 2.0, 2.0]])).tolist() == [1, 0]
    assert margin(torch.tensor([[1.0, 5.0, 5.0]])).item() == 0


def test_an_impossible_class_counts_for_nothing() -> None:
    with_one = scores_from_logits(torch.tensor([[3.0, 1.0, -torch.inf]]))
    without = scores_from_logits(torch.tensor([[3.0, 1.0]]))
    for one, other in zip(with_one, without, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_a_broken_logit_makes_nan_scores_in_its_row_alone(broken: float) -> None:
    scores = scores_from_logits(torch.tensor([[1.0, broken], [1.0, 0.0]]))
    for values in (scores.noise_value, scores.entropy, scores.margin, scores.max_prob):
        assert torch.isnan(values).tolist() == [True, False]


def test_one_class_has_no_rival() -> None:
    scores = scores_from_logits(torch.tensor([[2.5]]))
    assert (scores.margin.item(), scores.entropy.item(), scores.max_prob.item()) == (1, 0, 1)


@given(st.integers(1, 9), st.integers(2, 6))
def test_rows_do_not_depend_on_each_other(rows: int, classes: int) -> None:
    logits = torch.randn(rows, classes, generator=torch.Generator().manual_seed(rows)) * 20
    whole = scores_from_logits(logits)
    for row in range(rows):
        alone = scores_from_logits(logits[row : row + 1])
        for name in whole._fields:
            assert getattr(whole, name)[row] == getattr(alone, name)[0]
