"""Best bin estimation against known shares, bounds, and a brute-force minimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selector.pu.prior import best_bin, estimate_prior, upper_bound, wilson


def scores(
    share: float, *, num_p: int, num_u: int, gap: float, seed: int
) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    positive = rng.random(num_u) < share
    return rng.normal(gap, 1, num_p), rng.normal(gap * positive, 1)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_the_known_share_is_found_where_scores_separate(share: float) -> None:
    errors = []
    for seed in range(5):
        p, u = scores(share, num_p=1000, num_u=20_000, gap=4, seed=seed)
        found = estimate_prior(p, u, seed=0)
        errors.append(found.value - share)
        assert found.low <= found.value <= found.high
        assert found.upper_bound >= share
    assert abs(np.mean(errors)) < 0.1 * share


def test_at_small_shares_it_errs_less_than_with_the_papers_deviation() -> None:
    drawn = [scores(0.05, num_p=1000, num_u=20_000, gap=2, seed=seed) for seed in range(5)]
    binomial = [estimate_prior(p, u, seed=0) for p, u in drawn]
    uniform = [estimate_prior(p, u, seed=0, deviation="uniform") for p, u in drawn]
    errors = [
        np.sqrt(np.mean([(x.value - 0.05) ** 2 for x in found])) for found in (binomial, uniform)
    ]
    assert errors[0] < 0.015 < 0.03 < errors[1]
    assert all(x.upper_bound >= 0.05 for x in binomial)


def test_what_makes_it_fragile() -> None:
    few = estimate_prior(*scores(0.2, num_p=24, num_u=5000, gap=4, seed=0), seed=0)
    assert few.fragile
    assert "only 24 labelled images" in few.reasons[0]
    alike = estimate_prior(*scores(0.2, num_p=500, num_u=5000, gap=0.05, seed=0), seed=0)
    assert any("hardly differ from the pool" in reason for reason in alike.reasons)
    good = estimate_prior(*scores(0.3, num_p=1000, num_u=20_000, gap=5, seed=0), seed=0)
    assert not good.fragile


def test_labelled_images_unlike_the_pool_give_next_to_nothing() -> None:
    rng = np.random.default_rng(0)
    found = estimate_prior(rng.normal(9, 1, 500), rng.normal(0, 1, 10_000), seed=0)
    assert found.value < 0.001
    assert found.upper_bound < 0.1


values = st.lists(st.integers(-5, 5), min_size=1, max_size=15)


@given(values, values)
def test_the_ratio_is_that_of_the_threshold_with_the_least_bound(
    p: list[int], u: list[int]
) -> None:
    found = estimate_prior(np.array(p, float), np.array(u, float), seed=0, deviation="uniform")
    deviation = sum(np.sqrt(np.log(40) / (2 * len(x))) for x in (p, u))
    by_hand = []
    for c in sorted({*p, *u}, reverse=True):
        q_p, q_u = (np.mean([value >= c for value in x]) for x in (p, u))
        if q_p > 0:
            by_hand.append((q_u / q_p + 1.01 * deviation / q_p, q_u / q_p))
    least = min(bound for bound, _ in by_hand)
    near = [ratio for bound, ratio in by_hand if bound <= least + 1e-9]
    assert min(abs(found.value - min(1, max(r, 1 / (len(u) + 1)))) for r in near) < 1e-9
    assert 0 < found.value <= 1
    assert 0 < found.upper_bound <= 1
    assert 0 <= found.auc <= 1


def test_only_the_order_of_scores_counts() -> None:
    p, u = scores(0.2, num_p=200, num_u=2000, gap=3, seed=1)
    one, two = estimate_prior(p, u, seed=0), estimate_prior(np.exp(p), np.exp(u), seed=0)
    assert one == two


def test_wilson_against_its_defining_equation() -> None:
    for share, n in [(0.0, 10), (0.3, 50), (1.0, 7)]:
        for limit in wilson(share, n, 1.96):
            # The limits are where |share - limit| is z deviations of a binomial at the limit.
            spread = 1.96 * np.sqrt(max(0, limit * (1 - limit)) / n)
            assert abs(share - limit) == pytest.approx(spread, abs=1e-12)


def test_bounds_by_counts() -> None:
    value, at = best_bin(
        np.array([0, 50, 100]), np.array([0, 10, 100]), deviation="binomial", delta=0.1
    )
    assert (value, at) == (0.2, 1)
    assert upper_bound(np.array([1]), np.array([1]), delta=0.1) == 1.0


def test_nan_and_nothing_are_refused() -> None:
    for p, u in [([], [1.0]), ([1.0], []), ([float("nan")], [1.0])]:
        with pytest.raises(ValueError, match="none of them NaN"):
            estimate_prior(np.array(p), np.array(u), seed=0)
    with pytest.raises(ValueError, match="binomial or uniform"):
        estimate_prior(np.ones(2), np.ones(2), seed=0, deviation="exact")  # type: ignore[arg-type]
