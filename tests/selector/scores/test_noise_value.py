from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selector.scores.noise_value import SMALLEST_FLOAT32, noise_value, store_positive

logit_rows = st.lists(
    st.floats(-350, 350, width=32, allow_subnormal=False), min_size=2, max_size=12
)


def reference(logits: list[float]) -> Decimal:
    """-log max p from the definition, with 400 digits, so that nothing cancels."""
    with localcontext(prec=400):
        total = sum(Decimal(logit).exp() for logit in logits)
        return -(Decimal(max(logits)).exp() / total).ln()


@given(logit_rows)
def test_equals_the_definition_at_any_gap(logits: list[float]) -> None:
    value = noise_value(torch.tensor([logits], dtype=torch.float32)).item()
    expected = float(reference(logits))
    assert value == pytest.approx(expected, rel=1e-12, abs=0)
    assert value > 0


@given(st.floats(0, 700))
def test_two_classes_give_log1p_of_the_gap(gap: float) -> None:
    value = noise_value(torch.tensor([[gap, 0.0]], dtype=torch.float64)).item()
    assert value == pytest.approx(float(np.log1p(np.exp(-gap))), rel=1e-14, abs=0)


def test_never_zero_and_strictly_falling_up_to_gaps_of_700_nats() -> None:
    gaps = torch.linspace(0, 700, 7001, dtype=torch.float64)
    values = noise_value(torch.stack([gaps, torch.zeros_like(gaps)], dim=1))
    assert values.min() > 0
    assert (values.diff() < 0).all()


@given(logit_rows, st.integers(-64, 64))
def test_does_not_change_when_all_logits_shift(logits: list[float], shift: int) -> None:
    # Multiples of 2^-10 keep the float64 sums exact, so that only the formula is tested.
    row = torch.round(torch.tensor([logits], dtype=torch.float64) * 1024) / 1024
    assert torch.equal(noise_value(row), noise_value(row + shift))


@given(logit_rows)
def test_lies_between_zero_and_log_c(logits: list[float]) -> None:
    value = noise_value(torch.tensor([logits])).item()
    assert 0 <= value <= np.log(len(logits)) * (1 + 1e-12)


def test_uniform_answers_have_log_c() -> None:
    assert noise_value(torch.full((1, 7), 3.0)).item() == pytest.approx(np.log(7), rel=1e-15)


def test_one_class_is_certain() -> None:
    assert noise_value(torch.randn(4, 1)).tolist() == [0, 0, 0, 0]


def test_the_usual_formula_would_lose_what_this_one_keeps() -> None:
    logits = torch.tensor([[40.0, 0.0, 1.0]])
    usual = (logits.logsumexp(dim=1) - logits.amax(dim=1)).item()
    assert usual == 0
    assert noise_value(logits).item() == pytest.approx(np.exp(-40) + np.exp(-39), rel=1e-12)


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (2, 0)])
def test_refuses_what_is_no_batch_of_logits(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, C\)"):
        noise_value(torch.zeros(shape))


@given(st.lists(st.floats(0, 700), min_size=1, max_size=20))
def test_storing_never_makes_a_positive_value_zero(gaps: list[float]) -> None:
    values = np.log1p(np.exp(-np.array(gaps)))
    stored = store_positive(values)
    assert stored.dtype == np.float32
    assert (stored > 0).all()
    # float32 is exact to 6e-8 down to its smallest normal number.
    normal = values >= np.finfo(np.float32).tiny
    np.testing.assert_allclose(stored[normal], values[normal], rtol=6e-8)
    # Below, the stored order never contradicts the true one.
    order = np.argsort(values)
    assert (np.diff(stored[order].astype(np.float64)) >= 0).all()


def test_stored_zero_and_nan_stay_what_they_are() -> None:
    stored = store_positive(np.array([0.0, np.nan, 1e-300, 1e-40]))
    assert stored[0] == 0
    assert np.isnan(stored[1])
    assert stored[2] == SMALLEST_FLOAT32 > 0
    assert stored[3] == np.float32(1e-40)
