"""Fitting a PU classifier on cached features: prior, head, calibration, and what to tell of them.

Nothing here reads images or writes files: features and labelled features in, a classifier and a
plain report out.

Legend: P = labelled images, M = held-out rows of the pool, D = dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from selector.pu.calibrate import calibrate
from selector.pu.classifier import HeadClassifier, features_identity
from selector.pu.crossfit import crossfitted_ranks
from selector.pu.doubts import check_prior, choose_prior, doubts, small_batches
from selector.pu.labelled import Labelled, split_held_out
from selector.pu.network import PUHead
from selector.pu.pool_rows import FeatureRows
from selector.pu.prior import ESTIMATOR, PriorEstimate, estimate_prior, wilson
from selector.pu.settings import PUSettings
from selector.pu.train_head import HeadFit, HeldOut, head_scores, train_head
from selector.tables.facts import FactTable
from shards.errors import UsageError

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, and steps done of steps in all."""

MIN_POSITIVES = 10
"""Fewer labelled images leave none to hold out, and nothing to learn from."""


@dataclass(frozen=True)
class Fitted:
    """A classifier and what is known of it.

    Attributes:
        classifier: head, calibration, card.
        curve: see `HeadFit`.
        report: plain JSON values: prior, held-out rates, attention, risk, calibration, sensitivity.
        scores: name -> raw scores of "positives" (trained on), "held_out" (labelled, unseen) and
            "pool" (held-out rows), for histograms.
        held_P: which labelled images were held out.
        held_out_ids: row_ids of the pool rows that were held out.
        warnings: what the user should hear of data and prior.
        doubts: likewise, of what this network selects.
    """

    classifier: HeadClassifier
    curve: list[dict[str, float]]
    report: dict[str, Any]
    scores: Mapping[str, npt.NDArray[np.float32]]
    held_P: npt.NDArray[np.bool_]
    held_out_ids: npt.NDArray[np.int64]
    warnings: list[str]
    doubts: list[str]


def fit_head(
    features: FactTable,
    labelled: Labelled,
    *,
    prior: float | None,
    settings: PUSettings,
    seed: int = 0,
    sensitivity: Sequence[float] = (),
    truth: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]] | None = None,
    on_progress: OnProgress | None = None,
) -> Fitted:
    """Fit a head; deterministic for a seed and a number of threads.

    Args:
        prior: share of positives in the pool; None = estimated.
        sensitivity: further priors to fit with, for the table of what would change.
        truth: row_ids (n,) -> 1.0 positive, 0.0 negative, NaN unknown; for evaluation alone.

    Raises:
        UsageError: too few labelled images, a prior out of range or one that cannot be estimated,
            features with NaN or of another width.
        StorageError: a part of the features cannot be read.
    """
    tell = on_progress or _ignore
    for value in (*([] if prior is None else [prior]), *sensitivity):
        check_prior(value)
    if len(labelled) < MIN_POSITIVES:
        raise UsageError(
            f"{len(labelled)} labelled images with features; expected at least {MIN_POSITIVES}: "
            "some must be held out to measure what the classifier finds"
        )
    tell("reading features", 0, 1)
    pool = FeatureRows(features, seed=seed)
    if labelled.vectors_PD.shape[1] != pool.dim:
        raise UsageError(
            f"labelled images have {labelled.vectors_PD.shape[1]} features, the pool {pool.dim}"
        )
    statistics = (pool.mean_D, pool.deviation_D)
    tell("estimating the prior", 0, 1)
    estimate = _estimate(pool, labelled, statistics, settings, seed)
    chosen, warnings = choose_prior(prior, estimate)
    held_P = split_held_out(labelled.label_P, share=settings.holdout, seed=seed)
    held_out = HeldOut(labelled.vectors_PD[held_P], pool.held_out_MD)
    train_PD = labelled.vectors_PD[~held_P]

    def fit(value: float, what: str) -> HeadFit:
        return train_head(
            pool,
            train_PD,
            held_out,
            statistics=statistics,
            prior=value,
            settings=settings,
            seed=seed,
            on_check=lambda step, steps, _: tell(what, step, steps),
        )

    fitted = fit(chosen, "training")
    if fitted.batch_positives < settings.batch_positives:
        warnings.append(small_batches(len(train_PD), settings.batch_positives))
    scores = {
        "positives": head_scores(fitted.head, train_PD),
        "held_out": head_scores(fitted.head, held_out.positives_PD),
        "pool": head_scores(fitted.head, held_out.pool_MD),
    }
    calibration = calibrate(scores["held_out"], scores["pool"], prior=chosen)
    rates = unseen_rates(scores, pool.num_rows)
    card = {
        "mode": "head",
        "prior": chosen,
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
        "dim": pool.dim,
        "hidden": settings.hidden(pool.dim),
        "features": features_identity(features),
    }
    report = {
        "prior": {**_told(estimate), "value": chosen, "given": prior is not None},
        "positives": {
            "total": len(labelled),
            "train": len(train_PD),
            "held_out": int(held_P.sum()),
        },
        **rates,
        "attention": _attention(fitted.head, train_PD, held_out.pool_MD, features),
        "kept_step": fitted.kept_step,
        "risk": {"start": fitted.curve[0], "end": fitted.curve[-1]},
        "calibration": {
            "knots": len(calibration.scores),
            "excess": calibration.excess,
            "pool_mean": float(calibration(scores["pool"]).mean()),
        },
        "sensitivity": [
            _sensitivity_row(
                value,
                fitted if value == chosen else fit(value, f"training with prior {value:g}"),
                held_out,
                pool,
                truth,
            )
            for value in sorted({*sensitivity, chosen} if sensitivity else [])
        ],
    }
    return Fitted(
        classifier=HeadClassifier(fitted.head, calibration, card),
        curve=fitted.curve,
        report=report,
        scores=scores,
        held_P=held_P,
        held_out_ids=pool.held_out_ids,
        warnings=warnings,
        doubts=doubts(calibration.excess, rates, chosen),
    )


def _ignore(what: str, done: int, total: int) -> None:
    """The progress callback of a caller that gave none."""


def _estimate(
    pool: FeatureRows,
    labelled: Labelled,
    statistics: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    settings: PUSettings,
    seed: int,
) -> PriorEstimate:
    ranks_P, ranks_M = crossfitted_ranks(
        labelled.vectors_PD,
        pool.held_out_MD,
        statistics=statistics,
        hidden=settings.hidden(pool.dim),
        seed=seed,
    )
    return estimate_prior(ranks_P, ranks_M, seed=seed)


def unseen_rates(scores: Mapping[str, npt.NDArray[np.float32]], num_rows: int) -> dict[str, Any]:
    """What F > 0 takes of images that training has not seen."""
    held = scores["held_out"] > 0
    low, high = wilson(float(held.mean()), len(held), 1.96)
    return {
        "true_positive_rate": float(held.mean()),
        "true_positive_rate_low": float(low),
        "true_positive_rate_high": float(high),
        "selected_share": float((scores["pool"] > 0).mean()),
        "num_pool": num_rows,
    }


def _told(estimate: PriorEstimate) -> dict[str, Any]:
    return {
        "estimator": ESTIMATOR,
        "estimate": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "upper_bound": estimate.upper_bound,
        "auc": estimate.auc,
        "fragile": estimate.fragile,
        "reasons": list(estimate.reasons),
    }


@torch.no_grad()
def _attention(
    head: PUHead,
    positives_PD: npt.NDArray[Any],
    pool_MD: npt.NDArray[Any],
    features: FactTable,
) -> list[dict[str, Any]]:
    """Mean attention weight of every stage; empty for projected features, which have no stages."""
    if features.about.get("mode", "full") != "full":
        return []
    means = [
        head.attention(torch.from_numpy(np.ascontiguousarray(rows[:4096]))).mean(dim=0).numpy()
        for rows in (positives_PD, pool_MD)
    ]
    told, start = [], 0
    for stage in features.about.get("stages", []):
        stop = start + int(stage["dim"])
        positives, pool = (float(mean[start:stop].mean()) for mean in means)
        told.append(
            {"stage": stage["name"], "dim": stage["dim"], "positives": positives, "pool": pool}
        )
        start = stop
    return told


def _sensitivity_row(
    prior: float,
    fitted: HeadFit,
    held_out: HeldOut,
    pool: FeatureRows,
    truth: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]] | None,
) -> dict[str, Any]:
    """What another prior would select, on held-out rows; precision and recall where known."""
    taken = head_scores(fitted.head, held_out.pool_MD) > 0
    row: dict[str, Any] = {
        "prior": prior,
        "selected_share": float(taken.mean()),
        "num_selected": round(float(taken.mean()) * pool.num_rows),
        "true_positive_rate": float((head_scores(fitted.head, held_out.positives_PD) > 0).mean()),
        "held_out_auc": fitted.curve[-1]["held_out_auc"],
        "precision": None,
        "recall": None,
    }
    if truth is not None:
        known = truth(pool.held_out_ids)
        right = float(np.nansum(known[taken]))
        told = float(np.isfinite(known[taken]).sum())
        row["precision"] = right / told if told else None
        row["recall"] = right / float(np.nansum(known)) if np.nansum(known) else None
    return row
