"""Where scores stand among those of the pool."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def ranks_among(
    scores_N: npt.NDArray[np.floating[Any]], pool_M: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.float64]:
    """Share of the pool's scores below each score, (N,) in [0, 1]; equal ones count half.

    Args:
        pool_M: (M,) in any order, M >= 1.
    """
    ordered = np.sort(pool_M)
    below = np.searchsorted(ordered, scores_N, side="left")
    not_above = np.searchsorted(ordered, scores_N, side="right")
    return (below + not_above) / (2 * len(ordered))


def ranking_quality(
    positives_P: npt.NDArray[np.floating[Any]], pool_M: npt.NDArray[np.floating[Any]]
) -> float:
    """Chance that a labelled image scores above one of the pool; in [0, 1], higher is better.

    With a share pi of positives in the pool it is (1 - pi) AUC + pi / 2 of the true AUC: the best
    scorer by the one is the best by the other, whatever pi is.
    """
    return float(ranks_among(positives_P, pool_M).mean())
