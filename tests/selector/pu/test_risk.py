"""The PU risks against float64 numpy, gradients written out by hand, and properties."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selector.pu.risk import Method, PURisk, Surrogate, pu_risk, surrogate_loss

Floats = npt.NDArray[np.float64]


def sigmoid(z: Floats) -> Floats:
    """Written without exp of a large number."""
    return np.where(
        z >= 0, 1 / (1 + np.exp(-np.abs(z))), np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z)))
    )


def loss_and_slope(z: Floats, y: int, surrogate: str) -> tuple[Floats, Floats]:
    """l(z, y) and its derivative in z."""
    if surrogate == "sigmoid":
        return sigmoid(-y * z), -y * sigmoid(z) * sigmoid(-z)
    return np.logaddexp(0, -y * z), -y * sigmoid(-y * z)


def reference(
    p: Floats, u: Floats, *, prior: float, surrogate: str, method: str, beta: float, gamma: float
) -> tuple[float, float, float, Floats, Floats, bool]:
    """value, positive part, bracket, gradients by p and by u, whether the step ascends."""
    plus, plus_slope = loss_and_slope(p, 1, surrogate)
    minus, minus_slope = loss_and_slope(p, -1, surrogate)
    wild, wild_slope = loss_and_slope(u, -1, surrogate)
    positive, r = prior * plus.mean(), wild.mean() - prior * minus.mean()
    r_by_p, r_by_u = -prior * minus_slope / len(p), wild_slope / len(u)
    if method == "nnpu" and r < -beta:
        return positive - beta, positive, r, -gamma * r_by_p, -gamma * r_by_u, True
    return positive + r, positive, r, prior * plus_slope / len(p) + r_by_p, r_by_u, False


def torch_risk(p: Floats, u: Floats, **options: object) -> tuple[PURisk, Floats, Floats]:
    scores = [torch.tensor(values, requires_grad=True) for values in (p, u)]
    risk = pu_risk(*scores, **options)  # type: ignore[arg-type]
    risk.objective.backward()
    gradients = [s.grad.numpy() for s in scores if s.grad is not None]
    return risk, gradients[0], gradients[1]


rng = np.random.default_rng(0)
CASES = {
    "random": (rng.normal(1, 2, 40), rng.normal(-1, 2, 200)),
    "one of each": (np.array([0.3]), np.array([-0.2])),
    "undecided": (np.zeros(5), np.zeros(9)),
    "separated": (np.full(8, 30.0), np.full(50, -30.0)),
    "over-fitted": (np.full(8, 6.0), np.full(50, -6.0)),
    "all wrong": (np.full(8, -9.0), np.full(50, 9.0)),
    "huge": (np.array([800.0, -800.0]), np.array([800.0, -800.0, 0.0])),
    "barely negative": (np.array([0.01]), np.array([math.log(0.499 * 0.5 / 0.75)])),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("surrogate", ["sigmoid", "logistic"])
@pytest.mark.parametrize("method", ["nnpu", "upu"])
@pytest.mark.parametrize(("beta", "gamma"), [(0.0, 1.0), (0.02, 0.3)])
def test_values_and_gradients(
    case: str, surrogate: Surrogate, method: Method, beta: float, gamma: float
) -> None:
    p, u = CASES[case]
    options = {"surrogate": surrogate, "method": method, "beta": beta, "gamma": gamma, "prior": 0.4}
    risk, by_p, by_u = torch_risk(p, u, **options)
    value, positive, r, want_p, want_u, ascends = reference(p, u, **options)  # type: ignore[arg-type]
    found = [risk.value.item(), risk.positive.item(), risk.bracket.item()]
    np.testing.assert_allclose(found, [value, positive, r], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(by_p, want_p, rtol=1e-11, atol=1e-15)
    np.testing.assert_allclose(by_u, want_u, rtol=1e-11, atol=1e-15)
    assert bool(risk.ascends) is ascends


def test_below_the_bracket_the_gradient_is_that_of_minus_gamma_r_alone() -> None:
    p = torch.tensor([4.0, 5.0], dtype=torch.float64, requires_grad=True)
    u = torch.tensor([-6.0, -5.0, -7.0], dtype=torch.float64, requires_grad=True)
    risk = pu_risk(p, u, prior=0.5, gamma=0.7)
    assert risk.ascends
    assert risk.value.item() == pytest.approx(risk.positive.item())  # reported: max(0, r) = 0
    by_p, by_u = torch.autograd.grad(risk.objective, (p, u), retain_graph=True)
    r_by_p, r_by_u = torch.autograd.grad(risk.bracket, (p, u), retain_graph=True)
    torch.testing.assert_close(by_p, -0.7 * r_by_p)
    torch.testing.assert_close(by_u, -0.7 * r_by_u)
    # Autograd of the clipped value would push the positives up and leave the unlabelled alone.
    clipped_p, clipped_u = torch.autograd.grad(risk.value, (p, u))
    assert (clipped_p < 0).all()
    assert not clipped_u.any()
    # The true step lowers the positives and raises the unlabelled: an ascent on r.
    assert (by_p > 0).all()
    assert (by_u < 0).all()


finite = st.floats(-50, 50)
scores = st.lists(finite, min_size=1, max_size=12).map(
    lambda x: torch.tensor(x, dtype=torch.float64)
)
priors = st.floats(0.01, 0.99)
surrogates = st.sampled_from(["sigmoid", "logistic"])


@given(scores, scores, priors, surrogates)
def test_nnpu_is_upu_while_the_bracket_is_not_negative(
    p: torch.Tensor, u: torch.Tensor, prior: float, surrogate: Surrogate
) -> None:
    nonnegative = pu_risk(p, u, prior=prior, surrogate=surrogate)
    unbiased = pu_risk(p, u, prior=prior, surrogate=surrogate, method="upu")
    assert nonnegative.bracket == unbiased.bracket
    assert nonnegative.value >= unbiased.value
    assert nonnegative.value >= 0
    if unbiased.bracket >= 0:
        assert nonnegative.value == unbiased.value == nonnegative.objective
        assert not nonnegative.ascends
    else:
        assert nonnegative.ascends
        assert nonnegative.value == nonnegative.positive


@given(scores)
def test_the_sigmoid_surrogate_is_symmetric_and_the_logistic_one_linear_in_the_difference(
    z: torch.Tensor,
) -> None:
    both = surrogate_loss(z, 1, "sigmoid") + surrogate_loss(z, -1, "sigmoid")
    torch.testing.assert_close(both, torch.ones_like(z))
    apart = surrogate_loss(z, -1, "logistic") - surrogate_loss(z, 1, "logistic")
    torch.testing.assert_close(apart, z)


@given(scores, scores, priors)
def test_with_the_symmetric_surrogate_upu_is_a_weighted_classification_of_p_against_u(
    p: torch.Tensor, u: torch.Tensor, prior: float
) -> None:
    """l(F, 1) - l(F, -1) = 2 l(F, 1) - 1: du Plessis et al. 2014."""
    risk = pu_risk(p, u, prior=prior, method="upu").value
    plain = 2 * prior * torch.sigmoid(-p).mean() + torch.sigmoid(u).mean() - prior
    torch.testing.assert_close(risk, plain)


@given(scores, scores, priors, surrogates, st.floats(0, 0.5))
def test_beta_lets_the_bracket_fall_so_far(
    p: torch.Tensor, u: torch.Tensor, prior: float, surrogate: Surrogate, beta: float
) -> None:
    risk = pu_risk(p, u, prior=prior, surrogate=surrogate, beta=beta)
    assert risk.value >= risk.positive - beta - 1e-12
    assert bool(risk.ascends) == bool(risk.bracket < -beta)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"prior": 0.0}, "prior 0.0"),
        ({"prior": 1.0}, "prior 1.0"),
        ({"beta": -1.0}, "beta >= 0"),
        ({"gamma": 2.0}, r"gamma in \[0, 1\]"),
        ({"surrogate": "hinge"}, "sigmoid, logistic"),
        ({"method": "npu"}, "nnpu, upu"),
        ({"positive": torch.zeros(0)}, "positive scores"),
        ({"unlabelled": torch.zeros(2, 1)}, "unlabelled scores"),
    ],
)
def test_what_it_refuses(changed: dict[str, object], message: str) -> None:
    options: dict[str, object] = {"prior": 0.5} | changed
    p, u = options.pop("positive", torch.zeros(2)), options.pop("unlabelled", torch.zeros(3))
    with pytest.raises(ValueError, match=message):
        pu_risk(p, u, **options)  # type: ignore[arg-type]
