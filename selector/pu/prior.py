"""The share of positives in the pool, estimated from scores: best bin estimation.

Garg et al., NeurIPS 2021, "Mixture Proportion Estimation and PU Learning: A Modern Approach". For
any threshold c let q_p(c) and q_u(c) be the shares of labelled images and of pool images that score
at least c. If labelled images are a fair sample of the pool's positives, q_u(c) >= pi q_p(c)
whatever the classifier is, with equality where nothing but positives scores that high. So the
least ratio q_u / q_p is the estimate; and because ratios of small counts are noisy, the threshold
is the one that minimises an upper confidence bound of the ratio:

    c^ = argmin_c  q_u(c) / q_p(c) + (1 + gamma) / q_p(c) * (e_u + e_p),    pi^ = q_u(c^) / q_p(c^)

The paper's e_u and e_p are sqrt(log(4 / delta) / 2n), right for every share at once. At shares of a
few per cent and some hundred labelled images they drown what is to be measured. So the default here
takes Wilson's binomial limits in their place, q_u from above and q_p from below, each at a
confidence that pays for 1 + log2 P scales of thresholds; and looks at bins of at least 5 % and 10
of the labelled images, as the tail of so many ratios would else hold one that is small by luck.
With unit normals 2 apart, a share of 0.05 and 1,000 labelled images, the root mean square error was
0.010 against 0.048 of the paper's (`deviation="uniform"`); at a share of 0.5 they are equal.

What no estimator can mend: labelled images that are no fair sample of the pool's positives (from
another camera, say) are told from them by any good classifier, and pi^ tends to 0.

Legend: P = labelled images that the classifier did not train on, U = rows of the pool likewise.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from selector.pu.ranks import ranking_quality

Floats = npt.NDArray[np.float64]
Deviation = Literal["binomial", "uniform"]

ESTIMATOR = "best bin estimation (Garg et al. 2021)"
DELTA = 0.1
"""Chance that the bounds behind an estimate fail."""
GAMMA = 0.01
"""The paper's weight of the deviation."""
_RESAMPLES = 200
_LEAST_SHARE, _LEAST_COUNT = 0.05, 10
_FEW_POSITIVES = 100
_WIDE = 0.5
_INDISTINCT_AUC = 0.6


@dataclass(frozen=True)
class PriorEstimate:
    """An estimate of pi with what is known of its error.

    Attributes:
        value: in (0, 1].
        low, high: 95 % bootstrap interval: what another draw of images would have given. It knows
            nothing of a classifier that cannot separate, which makes the estimate too high.
        upper_bound: with chance 1 - delta pi lies below, if the labelled images are a fair sample;
            1 where the data exclude nothing.
        bin_positives: share of labelled images above the threshold that was chosen.
        auc: chance that a labelled image scores above one of the pool.
        reasons: why it is fragile; empty if nothing speaks against it.
    """

    value: float
    low: float
    high: float
    upper_bound: float
    bin_positives: float
    auc: float
    reasons: tuple[str, ...]

    @property
    def fragile(self) -> bool:
        """Whether to ask for a prior that is known from elsewhere."""
        return bool(self.reasons)


def estimate_prior(
    positive_P: npt.NDArray[np.floating[Any]],
    pool_U: npt.NDArray[np.floating[Any]],
    *,
    seed: int,
    deviation: Deviation = "binomial",
    delta: float = DELTA,
) -> PriorEstimate:
    """The estimate from scores of rows that the classifier has not seen.

    Args:
        positive_P: (P,) scores of labelled images, higher is more like them; at least one.
        pool_U: (U,) scores of the pool; at least one.
        seed: of the bootstrap.

    Raises:
        ValueError: no scores, or NaN among them.
    """
    counts_p, counts_u = _at_thresholds(positive_P, pool_U)
    above_p, above_u = counts_p.cumsum(), counts_u.cumsum()
    value, at = best_bin(above_p, above_u, deviation=deviation, delta=delta)
    rng = np.random.default_rng(seed)
    draws = np.array(
        [
            best_bin(_drawn(counts_p, rng), _drawn(counts_u, rng), deviation=deviation, delta=delta)
            for _ in range(_RESAMPLES)
        ]
    )
    low, high = np.quantile(draws[:, 0], [0.025, 0.975]).tolist()
    auc = ranking_quality(positive_P, pool_U)
    return PriorEstimate(
        value=value,
        low=low,
        high=high,
        upper_bound=upper_bound(above_p, above_u, delta=delta),
        bin_positives=float(above_p[at] / above_p[-1]),
        auc=auc,
        reasons=tuple(_reasons(len(positive_P), value, low, high, auc)),
    )


def best_bin(
    above_p: npt.NDArray[Any], above_u: npt.NDArray[Any], *, deviation: Deviation, delta: float
) -> tuple[float, int]:
    """The estimate, and the index of its threshold.

    Args:
        above_p, above_u: (K,) cumulative counts: how many labelled and pool images score at least
            the k-th greatest threshold; the last entries are the numbers of images.
    """
    n_p, n_u = above_p[-1], above_u[-1]
    q_p, q_u = above_p / n_p, above_u / n_u
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = q_u / q_p
        if deviation == "uniform":
            e_p, e_u = (np.sqrt(np.log(4 / delta) / (2 * n)) for n in (n_p, n_u))
            bounds = ratio + (1 + GAMMA) * (e_u + e_p) / q_p
        elif deviation == "binomial":
            z = NormalDist().inv_cdf(1 - delta / (4 * (1 + np.log2(n_p))))
            bounds = wilson(q_u, n_u, z)[1] / wilson(q_p, n_p, z)[0]
            bounds = np.where(
                q_p >= min(1.0, max(_LEAST_SHARE, _LEAST_COUNT / n_p)), bounds, np.inf
            )
        else:
            raise ValueError(
                f"deviation {deviation!r}; expected {' or '.join(get_args(Deviation))}"
            )
    bounds = np.where(above_p > 0, bounds, np.inf)
    at = int(np.argmin(bounds))
    # Nothing of the pool above the threshold: less than one row is what the data can tell.
    value = max(float(ratio[at]), 1 / (n_u + 1))
    return min(1.0, value), at


def upper_bound(above_p: npt.NDArray[Any], above_u: npt.NDArray[Any], *, delta: float) -> float:
    """What pi cannot exceed, but with chance delta: right at every threshold at once.

    Args: as for `best_bin`.
    """
    n_p, n_u = above_p[-1], above_u[-1]
    e_p, e_u = (np.sqrt(np.log(4 / delta) / (2 * n)) for n in (n_p, n_u))
    least_p = above_p / n_p - e_p
    usable = least_p > 0
    if not usable.any():
        return 1.0
    return min(1.0, float(((above_u / n_u + e_u)[usable] / least_p[usable]).min()))


def wilson(share: npt.NDArray[Any] | float, n: float, z: float) -> tuple[Any, Any]:
    """Wilson's interval of a binomial share: (low, high), each in [0, 1].

    Args:
        share: found, in [0, 1].
        n: trials.
        z: half width in deviations of the normal; 1.96 for 95 %.
    """
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return centre - half, centre + half


def _at_thresholds(
    positive_P: npt.NDArray[np.floating[Any]], pool_U: npt.NDArray[np.floating[Any]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Images of both kinds from each labelled score up to the next greater one, greatest first.

    Between two labelled scores q_p stands still while q_u grows, so no threshold there can win.
    The last entry is for pool images below all labelled ones.
    """
    if (
        not len(positive_P)
        or not len(pool_U)
        or np.isnan(positive_P).any()
        or np.isnan(pool_U).any()
    ):
        raise ValueError("expected at least one labelled and one pool score, none of them NaN")
    levels, counts_p = np.unique(-positive_P, return_counts=True)
    place = np.searchsorted(levels, -pool_U, side="left")
    return np.append(counts_p, 0), np.bincount(place, minlength=len(levels) + 1)


def _drawn(counts: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Cumulative counts of a bootstrap sample."""
    total = int(counts.sum())
    return rng.multinomial(total, counts / total).cumsum()


def _reasons(num_positives: int, value: float, low: float, high: float, auc: float) -> list[str]:
    reasons = []
    if num_positives < _FEW_POSITIVES:
        reasons.append(f"only {num_positives} labelled images")
    if high - low > _WIDE * value:
        reasons.append(f"another draw of images would give anything from {low:.3g} to {high:.3g}")
    if auc < _INDISTINCT_AUC:
        reasons.append(
            f"labelled images hardly differ from the pool (AUC {auc:.2f}): either most of the pool "
            "is positive, or the features do not tell the domain, and then the estimate is too high"
        )
    return reasons
