"""What a run's features are, counted from their markers, and what to tell about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cluster.feature_pass import features_ledger, is_done, known_name
from cluster.runs import Run
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.features import KIND, FeaturePlan
from selector.tables.facts import fact_tables


@dataclass(frozen=True)
class FeatureReport:
    """What a run's features are after a call that asked for them; also part of its JSON.

    Attributes:
        id, name: of the table.
        mode: full or pca:D.
        dim: numbers an image.
        stages: {"name", "dim"} of the taps, in order.
        explained_variance: share that the principal components keep; None for full.
        parts: that have features; `missing`: scored parts that have none.
        null: sound images whose features are not finite; clipped: those with a number beyond half
            precision; differ: rows whose status is another than when they were scored.
    """

    id: str
    name: str
    mode: str
    dim: int
    stages: list[dict[str, Any]]
    explained_variance: float | None
    parts: int
    missing: int
    null: int
    clipped: int
    differ: int


def report_features(run: Run, plan: FeaturePlan, spec: FeatureSpec) -> FeatureReport:
    """Count what the markers of the features say."""
    scored = run.ledger.listing()
    markers = [
        marker
        for marker in features_ledger(run.layout, plan.fact_id).read()
        if marker.part in scored and is_done(scored[marker.part], {marker.part: marker})
    ]

    def total(counter: str) -> int:
        return int(sum(marker.counters.get(counter, 0) for marker in markers))

    return FeatureReport(
        id=plan.fact_id,
        name=spec.name or known_name(run.layout, plan.fact_id),
        mode=spec.mode,
        dim=plan.dim,
        stages=[{"name": stage.name, "dim": stage.dim} for stage in plan.stages],
        explained_variance=None if plan.pca is None else plan.pca.explained,
        parts=len(markers),
        missing=len(scored) - len(markers),
        null=total("features_null"),
        clipped=total("features_clipped"),
        differ=total("features_differ"),
    )


def feature_warnings(report: FeatureReport) -> list[str]:
    """What a person should know about the features."""
    warnings = []
    if report.missing:
        warnings.append(
            f"{report.missing:,} scored parts have no features ({report.id}); run the same command "
            "again, only those are read"
        )
    if report.null:
        warnings.append(
            f"{report.null:,} images have scores but no features: NaN or infinity came out of a "
            "stage of the teacher; these rows are null"
        )
    if report.clipped:
        warnings.append(
            f"{report.clipped:,} images have features beyond 65,504, stored as that; tap another "
            "module if these matter"
        )
    if report.differ:
        warnings.append(
            f"{report.differ:,} images have another status than when they were scored (another "
            "version of a decoder?); where they fail now, their features are null"
        )
    return warnings


def lagging_features(run: Run) -> list[str]:
    """A warning for every table of features that lacks scored parts; for calls without features."""
    scored = run.ledger.listing()
    warnings = []
    for fact in fact_tables(run.layout, KIND):
        have = features_ledger(run.layout, fact.fact_id).listing()
        missing = sum(not is_done(marker, have) for marker in scored.values())
        if missing:
            pca = f"pca:{fact.about.get('dim')}"
            mode = "full" if fact.about.get("mode") == "full" else pca
            warnings.append(
                f"features {fact.name or fact.fact_id} lack {missing:,} scored parts; "
                f"add `--features {mode}` to the command to make them"
            )
    return warnings
