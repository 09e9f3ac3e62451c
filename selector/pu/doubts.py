"""What a user should hear about a prior and a fit: refusals, and warnings with the way out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selector.pu.prior import PriorEstimate
from shards.errors import UsageError

_CUT_TOLERATED = 0.1
_LOW_TPR = 0.5


def check_prior(value: float) -> float:
    """`value` itself, if it is a share between 0 and 1, both excluded.

    Raises:
        UsageError: it is not.
    """
    if not 0 < value < 1:
        raise UsageError(
            f"prior {value:g}; expected the share of positives in the pool, above 0 and below 1, "
            "or auto to estimate it"
        )
    return value


def choose_prior(given: float | None, estimate: PriorEstimate) -> tuple[float, list[str]]:
    """The prior to train with, and warnings.

    Args:
        given: by the user; None = the estimate is taken.

    Raises:
        UsageError: no prior given, and the estimate is none.
    """
    if given is None:
        if not 0 < estimate.value < 0.99:
            raise UsageError(
                f"the prior was estimated at {estimate.value:.3g} (AUC {estimate.auc:.2f}): the "
                "labelled images cannot be told from the pool by these features; give --prior"
            )
        if not estimate.fragile:
            return estimate.value, []
        return estimate.value, [
            f"the estimated prior {estimate.value:.3g} is fragile: {'; '.join(estimate.reasons)}. "
            "Look at --sensitivity, or give --prior where the share is known"
        ]
    if given > estimate.upper_bound:
        return given, [
            f"the prior {given:g} is contradicted by the data: were the labelled images a fair "
            "sample of the pool's positives, its share could not exceed "
            f"{estimate.upper_bound:.3g} (estimate {estimate.value:.3g}). Either the prior is too "
            "high, and the selection will hold many negatives; or the labelled images differ from "
            "the pool's positives (another camera, size or compression)"
        ]
    return given, []


def doubts(excess: float, rates: Mapping[str, Any], prior: float) -> list[str]:
    """What speaks against a fit.

    Args:
        excess: see `Calibration`.
        rates: of unseen images: true_positive_rate, selected_share.
        prior: trained with.
    """
    found = []
    if not rates["selected_share"]:
        found.append(
            f"no pool image has a score above 0: with prior {prior:g} none is more likely positive "
            "than not. Order by pu_score and take the best n, or try the logistic surrogate"
        )
    elif rates["true_positive_rate"] < _LOW_TPR:
        found.append(
            f"only {rates['true_positive_rate']:.0%} of the held-out labelled images score above "
            "0: a cut at 0 misses the others; order by pu_score and take the best n to get more"
        )
    if excess > _CUT_TOLERATED:
        found.append(
            f"{excess:.0%} of the prior's mass would need probabilities above 1 and was cut from "
            "pu_prob: the prior is higher than the scores allow"
        )
    return found


def small_batches(available: int, wanted: int) -> str:
    """That there are fewer labelled images than a batch should carry."""
    return (
        f"{available} labelled images to train on, fewer than the {wanted} of a batch: every batch "
        "carries all of them"
    )
