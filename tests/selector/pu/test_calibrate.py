import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selector.pu.calibrate import calibrate, calibration_error


def drawn(share: float, n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labelled scores, pool scores, truth: unit normals two apart."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    return rng.normal(2, 1, 2000), rng.normal(2.0 * truth, 1), truth


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_probabilities_are_those_of_bayes(share: float) -> None:
    p, u, _ = drawn(share, 50_000, 0)
    calibration = calibrate(p, u, prior=share)
    _, fresh, truth = drawn(share, 50_000, 1)
    found = calibration(fresh)
    assert calibration_error(found, truth) < 0.04  # what 2,000 labelled scores leave open
    bayes = 1 / (1 + (1 - share) / share * np.exp(2 - 2 * fresh))
    assert np.abs(found - bayes).mean() < 0.04
    # sigmoid(F) of a score that was never asked to be a probability is none.
    assert calibration_error(1 / (1 + np.exp(-fresh)), truth) > 0.15


scores = st.lists(st.floats(-5, 5), min_size=1, max_size=30).map(np.array)


@given(scores, scores, st.floats(0.01, 0.99))
def test_monotone_within_bounds_and_the_mass_is_the_prior(
    p: np.ndarray, u: np.ndarray, prior: float
) -> None:
    calibration = calibrate(p, u, prior=prior)
    found = calibration(np.sort(u)).astype(np.float64)
    assert (np.diff(found) >= 0).all()
    assert found.min() >= 0
    assert found.max() <= 1
    assert found.mean() + calibration.excess * prior == pytest.approx(prior, abs=1e-6)
    assert calibration.excess >= 0


def test_a_prior_that_is_too_high_leaves_mass_over() -> None:
    p, u, _ = drawn(0.2, 20_000, 0)
    assert calibrate(p, u, prior=0.2).excess < 0.01
    assert calibrate(p, u, prior=0.6).excess > 0.2


def test_unscored_rows_stay_unscored() -> None:
    calibration = calibrate(np.ones(3), np.arange(5.0), prior=0.5)
    assert np.isnan(calibration(np.array([np.nan], np.float32))[0])


def test_error_of_a_known_distance() -> None:
    truth = np.arange(100) % 2 == 0
    assert calibration_error(np.full(100, 0.5), truth, bins=10) == 0
    assert calibration_error(np.full(100, 0.7), truth, bins=10) == pytest.approx(0.2)
