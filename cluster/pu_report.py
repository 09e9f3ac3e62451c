"""What a PU fit tells: one record, kept beside the classifier."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selector.pu.labelled import Labelled, coverage
from selector.tables.layout import RunLayout
from selector.tables.run_files import read_json
from shards import atomic, storage

_SHOWN = 5


@dataclass(frozen=True)
class PUFitReport:
    """A fitted PU classifier and what is known of it; plain JSON values throughout.

    Attributes:
        id, name: of the PU table and the classifier.
        folder: where the classifier lies.
        features: id of the features it was trained on.
        written: False where the same fit was there already.
        prior: value, given; estimate, low, high, upper_bound, auc, estimator, fragile, reasons.
        positives: total, train, held_out, failed; per_class, classes_without, misclassified.
        num_pool, num_scored, num_selected: rows, those with a score, those with F > 0.
        true_positive_rate: share of held-out labelled images with F > 0; _low, _high: 95 %.
        histograms: edges; counts of raw scores in pool, positives, held_out.
        attention: mean weight per stage; empty for principal components.
        risk: parts of the risk at the first and the last check. curve: file of all of them.
        calibration: knots, excess, pool_mean (the mean probability, about the prior).
        sensitivity: one row per prior tried.
        truth: average precision, precision, recall where the run has ground truth; else None.
        warnings: what the user should hear.
    """

    run: str
    id: str
    name: str
    folder: str
    mode: str
    features: str
    written: bool
    prior: dict[str, Any]
    positives: dict[str, Any]
    num_pool: int
    num_scored: int
    num_selected: int
    true_positive_rate: float
    true_positive_rate_low: float
    true_positive_rate_high: float
    histograms: dict[str, list[float]]
    attention: list[dict[str, Any]]
    kept_step: int
    risk: dict[str, Any]
    curve: str
    calibration: dict[str, Any]
    sensitivity: list[dict[str, Any]]
    truth: dict[str, Any] | None
    warnings: list[str]

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def write_report(layout: RunLayout, report: PUFitReport) -> None:
    """Keep the report, without what depends on where the run lies."""
    content = report.to_dict()
    for name in ("run", "folder", "curve", "written"):
        del content[name]
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    atomic.write_bytes(_uri(layout, report.id), (text + "\n").encode())


def read_report(layout: RunLayout, pu_id: str) -> PUFitReport | None:
    """The report of an earlier fit, None if there is none (or it did not end)."""
    uri = _uri(layout, pu_id)
    if not storage.exists(uri):
        return None
    folder = layout.pu_dir(pu_id)
    content = read_json(uri, cure="remove it and run `coursepack pu fit` again")
    return PUFitReport(
        run=layout.root,
        folder=folder,
        curve=storage.join(folder, "curve.jsonl"),
        written=False,
        **content,
    )


def labels_told(
    labelled: Labelled, *, num_classes: int, class_names: Sequence[str] | None
) -> tuple[dict[str, Any], list[str]]:
    """What labels tell of the labelled images, and warnings about gaps and mistakes."""
    found = coverage(labelled, num_classes=num_classes)

    def title(label: int) -> str:
        return str(label) if class_names is None else f"{class_names[label]} ({label})"

    warnings = []
    gaps = found["classes_without"]
    if gaps:
        shown = ", ".join(title(label) for label in gaps[:_SHOWN])
        more = ", ..." if len(gaps) > _SHOWN else ""
        warnings.append(
            f"no labelled image of {len(gaps)} of {num_classes} classes: {shown}{more}; images of "
            "these classes will hardly be found in the pool"
        )
    wrong = found["misclassified"]
    if wrong:
        known = int((labelled.label_P >= 0).sum())
        first = wrong[0]
        warnings.append(
            f"the teacher misclassifies {len(wrong)} of {known} labelled images; they stay in. The "
            f"first, {first['key']}, is {title(first['label'])} and was called "
            f"{title(first['teacher'])}"
        )
        if len(wrong) > known / 2:
            warnings.append(
                "it is wrong on most of them: are these its classes, and in its order? Check the "
                "folders' names, .cls members and --class-names"
            )
    return {**found, "failed": labelled.failed}, warnings


def _uri(layout: RunLayout, pu_id: str) -> str:
    return storage.join(layout.pu_dir(pu_id), "report.json")
