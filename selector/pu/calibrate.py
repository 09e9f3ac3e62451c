"""From raw scores to probabilities: isotonic, on held-out positives against the held-out pool.

With the share pi of positives among the unlabelled and densities f_P and f_U of the score,
P(positive | F) = pi f_P(F) / f_U(F). The monotone function g that minimises

    E_U[g(F)^2] - 2 pi E_P[g(F)]

is the isotonic regression, over the pool's scores, of the positives' mass that falls to each of
them: pool adjacent violators. Its mean over the pool is pi, before values above 1 are cut. No
negative is needed, and sigmoid(F) plays no part: the risk never asked it to be a probability.

Legend: P = held-out labelled images, M = held-out rows of the pool, K = knots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """A monotone function of the score.

    Attributes:
        scores, probabilities: (K,) knots, both ascending; linear in between, constant outside.
        excess: probability mass above 1 that was cut, as a share of pi: where it is large, the
            prior is higher than the scores allow.
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]
    excess: float

    def __call__(self, scores_N: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
        """Probabilities (N,) in [0, 1] of raw scores (N,); NaN stays NaN."""
        found = np.interp(scores_N.astype(np.float64), self.scores, self.probabilities)
        return found.astype(np.float32)


def calibrate(
    positive_P: npt.NDArray[np.floating[Any]],
    pool_M: npt.NDArray[np.floating[Any]],
    *,
    prior: float,
) -> Calibration:
    """Fit the function; see the module.

    Args:
        positive_P: (P,) scores of labelled images that the classifier has not seen, P >= 1.
        pool_M: (M,) scores of pool rows likewise, M >= 1.
        prior: pi.
    """
    from scipy.optimize import isotonic_regression  # 0.1 s that only a fit should pay

    levels, place = np.unique(pool_M.astype(np.float64), return_inverse=True)
    weights = np.bincount(place) / len(pool_M)
    # A positive's mass belongs to the next pool score above it (to the last, if there is none).
    heir = np.minimum(np.searchsorted(levels, positive_P), len(levels) - 1)
    mass = prior * np.bincount(heir, minlength=len(levels)) / len(positive_P)
    fitted = isotonic_regression(mass / weights, weights=weights)
    cut = np.minimum(fitted.x, 1.0)
    starts = fitted.blocks[:-1]
    ends = fitted.blocks[1:] - 1
    knots = np.unique(np.concatenate([starts, ends]))
    return Calibration(
        scores=tuple(levels[knots].tolist()),
        probabilities=tuple(cut[knots].tolist()),
        excess=float(((fitted.x - cut) * weights).sum() / prior),
    )


def calibration_error(
    probabilities_N: npt.NDArray[np.floating[Any]],
    truth_N: npt.NDArray[np.bool_],
    *,
    bins: int = 15,
) -> float:
    """Mean distance of probability and truth over bins of equally many rows; in [0, 1], 0 is best.

    Bins of equal width would leave nearly all rows of a pool with few positives in the first.

    Args:
        truth_N: (N,) whether the row is positive.
    """
    order = np.argsort(probabilities_N, kind="stable")
    error = 0.0
    for rows in np.array_split(order, bins):
        if len(rows):
            gap = abs(float(probabilities_N[rows].mean()) - float(truth_N[rows].mean()))
            error += gap * len(rows) / len(order)
    return error
