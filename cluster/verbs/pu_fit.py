"""`pu fit`: a few labelled images and a scored pool in, a PU score for every image out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cluster.execution import ExecutionConfig
from cluster.progress import OnProgress
from cluster.pu_finetune import calibrated, commit_finetuned, score_pool, train_whole
from cluster.pu_report import PUFitReport, labels_told, read_report, write_report
from cluster.pu_table import checked_name, commit_scores, teller
from selector.against_truth import against_truth, truth_lookup
from selector.pu.classifier import write_classifier
from selector.pu.doubts import check_prior
from selector.pu.extract import extract_labelled, labels_and_digest
from selector.pu.fit import Fitted, fit_head
from selector.pu.labelled import read_labelled
from selector.pu.settings import make_settings
from selector.pu.summary import summarize
from selector.scoring.positives import open_extractor
from selector.scoring.run_teacher import teacher_of_run
from selector.tables.connection import class_names
from selector.tables.facts import FactTable, find_fact, make_fact_id
from selector.tables.layout import RunLayout
from shards import atomic, storage

Prior = float | Literal["auto"]
Mode = Literal["head", "finetune"]


def pu_fit(
    run: str,
    *,
    positives: Sequence[str],
    prior: Prior = "auto",
    name: str = "",
    features: str | None = None,
    mode: Mode = "head",
    recipe: str | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    sensitivity: Sequence[float] = (),
    weights: str | None = None,
    allow_code: bool = False,
    execution: ExecutionConfig | None = None,
    on_progress: OnProgress | None = None,
) -> PUFitReport:
    """Fit a PU classifier on a run's features and score every image of the pool with it.

    The scores become a fact table of kind "pu" (columns pu_score and pu_prob); several may live
    side by side. The same call again finds it done.

    Args:
        run: Run directory; must have features.
        positives: Folders (the first folder of a path is the class) or shards (.cls) of labelled
            images; labels are optional.
        prior: Share of positives in the pool, or "auto": estimated.
        name: Of the table, for SQL and recipes: pu_NAME.
        features: Id or name of the features; None = the newest.
        mode: "head" trains attention and a linear layer on the cached features; "finetune" goes
            on to train the whole network on images, and reads the pool twice more.
        recipe: None = "default", or "finetune" in that mode; see `selector.pu.settings`.
        settings: Fields of `PUSettings` that differ from the recipe.
        seed: Of the training.
        sensitivity: Further priors to fit with, for the table of what would change.
        weights: Where the teacher's weights are now, if not where they were.
        allow_code: Let a `py:` teacher run its code.
        execution: Where the second scoring pass of "finetune" runs.
        on_progress: Called now and then from this thread.

    Raises:
        UsageError: no features, a wrong prior or setting, too few labelled images, a taken name.
        RunLocked: another driver works on this run.
        StorageError: something cannot be read or written.
    """
    tell = teller(on_progress)
    recipe = recipe or ("default" if mode == "head" else "finetune")
    chosen = make_settings(recipe, settings)
    given = None if prior == "auto" else check_prior(float(prior))
    for value in sensitivity:
        check_prior(value)
    layout = RunLayout(run)
    fact = find_fact(layout, "features", features)
    tell("reading labelled images", 0, 1)
    images = list(read_labelled(positives))
    with open_extractor(
        layout, which=fact.fact_id, weights=weights, allow_code=allow_code
    ) as extract:
        names = class_names(layout)
        num_classes = extract.teacher.num_classes
        labels, digest, warnings = labels_and_digest(
            images, num_classes=num_classes, class_names=names
        )
        asked = {
            "mode": mode,
            "features": fact.fact_id,
            "inputs": fact.table.inputs,
            "positives": digest,
            "prior": prior,
            "settings": chosen.model_dump(mode="json"),
            "seed": seed,
        }
        pu_id = make_fact_id({**asked, "sensitivity": sorted(sensitivity)})
        name = checked_name(layout, pu_id, name)
        there = read_report(layout, pu_id)
        if there is not None and there.name == name:
            return there
        tell("features of the labelled images", 0, 1)
        labelled = extract_labelled(images, labels, extract, digest=digest, warnings=warnings)
        teacher = extract.teacher
    fitted = fit_head(
        fact,
        labelled,
        prior=given,
        settings=chosen if mode == "head" else make_settings("default"),
        seed=seed,
        sensitivity=sensitivity,
        truth=truth_lookup(layout),
        on_progress=tell,
    )
    about = {**asked, "prior": fitted.report["prior"]["value"], "recipe": recipe}
    if mode == "head":
        about["classifier"] = fitted.classifier.digest
        table, _ = commit_scores(
            layout,
            fact,
            fitted.classifier,
            pu_id,
            about=about,
            name=name,
            tell=tell,
            before=lambda: _write_head(layout, pu_id, fitted),
        )
    else:
        known = teacher_of_run(layout, weights=weights, allow_code=allow_code)
        fitted = train_whole(
            layout,
            known,
            teacher,
            fitted,
            labelled,
            images,
            taps=fact.about["taps"],
            settings=chosen,
            seed=seed,
            pu_id=pu_id,
            tell=tell,
        )
        score_pool(layout, known, pu_id, execution=execution or ExecutionConfig())
        fitted = calibrated(layout, pu_id, fitted)
        table = commit_finetuned(
            layout, pu_id, fitted, about=about, name=name, inputs=fact.table.inputs, tell=tell
        )
        _write_curve(layout, pu_id, fitted)
    told, doubts = labels_told(labelled, num_classes=num_classes, class_names=names)
    report = _report(layout, table, fitted, told, [*labelled.warnings, *doubts])
    write_report(layout, report)
    return report


def _write_head(layout: RunLayout, pu_id: str, fitted: Fitted) -> None:
    write_classifier(layout, pu_id, fitted.classifier)
    _write_curve(layout, pu_id, fitted)


def _write_curve(layout: RunLayout, pu_id: str, fitted: Fitted) -> None:
    lines = "".join(json.dumps(entry) + "\n" for entry in fitted.curve)
    atomic.write_bytes(_curve(layout, pu_id), lines.encode())


def _curve(layout: RunLayout, pu_id: str) -> str:
    return storage.join(layout.pu_dir(pu_id), "curve.jsonl")


def _report(
    layout: RunLayout,
    table: FactTable,
    fitted: Fitted,
    labels: Mapping[str, Any],
    warnings: Sequence[str],
) -> PUFitReport:
    found = summarize(table, fitted.scores)
    known = fitted.report
    return PUFitReport(
        run=layout.root,
        id=table.fact_id,
        name=table.name,
        folder=layout.pu_dir(table.fact_id),
        mode=table.about["mode"],
        features=table.about["features"],
        written=True,
        prior=known["prior"],
        positives={**known["positives"], **labels},
        num_pool=found["num_pool"],
        num_scored=found["num_scored"],
        num_selected=found["num_selected"],
        true_positive_rate=known["true_positive_rate"],
        true_positive_rate_low=known["true_positive_rate_low"],
        true_positive_rate_high=known["true_positive_rate_high"],
        histograms=found["histograms"],
        attention=known["attention"],
        kept_step=known["kept_step"],
        risk=known["risk"],
        curve=_curve(layout, table.fact_id),
        calibration={
            **known["calibration"],
            "pool_mean": found["probability_sum"] / max(1, found["num_scored"]),
        },
        sensitivity=known["sensitivity"],
        truth=against_truth(layout, table, "pu_score"),
        warnings=[*warnings, *fitted.warnings, *fitted.doubts],
    )
