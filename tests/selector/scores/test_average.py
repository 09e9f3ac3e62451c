from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from selector.scores.average import log_mean_probability
from selector.scores.noise_value import noise_value
from selector.scores.uncertainty import scores_from_logits

views_of_logits = hnp.arrays(
    np.float64, (3, 4, 5), elements=st.floats(-30, 30, allow_nan=False, width=32)
)


def averaged(*views: list[list[float]] | torch.Tensor) -> torch.Tensor:
    return log_mean_probability([torch.as_tensor(view, dtype=torch.float64) for view in views])


@settings(max_examples=40)
@given(views_of_logits)
def test_it_is_the_mean_of_the_probabilities(logits: np.ndarray) -> None:
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    found = averaged(*map(torch.from_numpy, logits)).exp().numpy()
    np.testing.assert_allclose(found, probabilities.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)


@settings(max_examples=40)
@given(views_of_logits, st.integers(0, 4))
def test_it_doubts_no_more_than_the_views_do_on_average(logits: np.ndarray, label: int) -> None:
    views = [torch.from_numpy(view) for view in logits]
    mean_cross_entropy = -torch.stack([v.log_softmax(1)[:, label] for v in views]).mean(0)
    assert (-averaged(*views)[:, label] <= mean_cross_entropy + 1e-12).all()


@settings(max_examples=40)
@given(views_of_logits, st.permutations(range(3)))
def test_the_order_of_views_is_only_rounding(logits: np.ndarray, order: list[int]) -> None:
    views = [torch.from_numpy(view) for view in logits]
    other = averaged(*(views[number] for number in order))
    torch.testing.assert_close(averaged(*views), other, rtol=1e-13, atol=1e-13)


@settings(max_examples=40)
@given(views_of_logits)
def test_equal_views_score_as_one(logits: np.ndarray) -> None:
    view = torch.from_numpy(logits[0])
    found, expected = scores_from_logits(averaged(view, view, view)), scores_from_logits(view)
    for name in ("max_prob", "noise_value", "entropy"):
        one, other = getattr(found, name), getattr(expected, name)
        torch.testing.assert_close(one, other, rtol=1e-11, atol=0)
    # A gap below the rounding of the log-probabilities around it is none.
    torch.testing.assert_close(found.margin, expected.margin, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("gap", [20.0, 35.0, 100.0, 400.0, 700.0])
def test_tiny_noise_values_keep_their_digits(gap: float) -> None:
    # Two classes: 1 - p of a view is exp(-gap) to a part in 1e9 and better, and so is its mean.
    found = noise_value(averaged([[0.0, -gap]], [[3.0, 3.0 - gap - 2]])).item()
    expected = (math.exp(-gap) + math.exp(-gap - 2)) / 2
    assert found == pytest.approx(expected, rel=1e-8)
    assert found > 0


def test_one_doubtful_view_is_heard() -> None:
    sure, doubtful = [[0.0, -30.0, -30.0]], [[0.0, -2.0, -3.0]]
    of_ten = averaged(*([sure] * 9), doubtful)
    worst = noise_value(torch.tensor(doubtful)).item()
    assert noise_value(of_ten).item() == pytest.approx((1 - math.exp(-worst)) / 10, rel=0.02)


def test_views_may_outvote_each_other() -> None:
    scores = scores_from_logits(averaged([[0.0, -1.0]], [[-4.0, 0.0]], [[-4.0, 0.0]]))
    assert scores.pseudo_label.tolist() == [1]


def test_huge_logits_neither_overflow_nor_vanish() -> None:
    huge = torch.tensor([[1e30, -1e30, 0.0]])
    mild = torch.tensor([[0.0, -1.0, -2.0]])
    found = scores_from_logits(log_mean_probability([huge, mild]))
    p = mild.double().softmax(1)[0]
    assert found.max_prob.item() == pytest.approx((1 + p[0].item()) / 2, rel=1e-12)
    impossible = torch.tensor([[0.0, -torch.inf]])
    assert noise_value(log_mean_probability([impossible, impossible])).tolist() == [0]


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_view_that_broke_down_breaks_its_row_alone(broken: float) -> None:
    view = torch.zeros(2, 3)
    view[0, 1] = broken
    found = scores_from_logits(log_mean_probability([torch.zeros(2, 3), view])).noise_value
    assert found.isnan().tolist() == [True, False]


def test_views_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected one shape"):
        log_mean_probability([torch.zeros(2, 3), torch.zeros(2, 4)])
    with pytest.raises(ValueError, match="expected one shape"):
        log_mean_probability([])
