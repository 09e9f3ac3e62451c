"""Panels of PU learning: the score's histogram with the fit's figures, and the attention."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from selector.report.album import Album
from selector.report.figures import NARROW, WIDE, single_bar
from selector.report.panel import Panel
from selector.report.pu_figure import score_histogram
from selector.report.source import Source
from selector.report.template import fill
from selector.tables.facts import fact_tables
from shards import storage

SHOWN_MISCLASSIFIED = 12


@dataclass(frozen=True)
class PUFit:
    """The newest fit of the run: its report.json, see `coursepack pu fit`; and class names."""

    report: dict[str, Any]
    class_names: tuple[str, ...]

    def class_name(self, label: int) -> str:
        """A class that no image of the pool has may lie beyond the names."""
        return self.class_names[label] if label < len(self.class_names) else str(label)


@dataclass(frozen=True)
class Attention:
    """Mean attention weight of each stage's features, over the pool and over the positives."""

    stages: list[dict[str, Any]]


def gather_pu(source: Source) -> PUFit | None:
    """Reads one small file."""
    facts = fact_tables(source.layout, "pu")
    if not facts:
        return None
    uri = storage.join(source.layout.root, "pu", facts[-1].fact_id, "report.json")
    if not storage.exists(uri):
        return None
    try:
        return PUFit(json.loads(storage.read_bytes(uri)), source.facts.class_names)
    except ValueError:  # damaged: the page comes out without it
        return None


def draw_pu(fit: PUFit, _: Album) -> Markup:
    """Histogram, prior, how many held-out positives are found, positives the teacher denies."""
    found = fit.report
    counts = found["histograms"]
    lines = {name: counts[name] for name in ("positives", "held_out")}
    positives = found["positives"]
    return fill(
        "panels/pu.html",
        fit=found,
        prior=found["prior"],
        positives=positives,
        classes_without=[fit.class_name(label) for label in positives["classes_without"]],
        misclassified=[
            {
                "key": image["key"],
                "label": fit.class_name(image["label"]),
                "teacher": fit.class_name(image["teacher"]),
            }
            for image in positives["misclassified"][:SHOWN_MISCLASSIFIED]
        ],
        num_other=max(len(positives["misclassified"]) - SHOWN_MISCLASSIFIED, 0),
        histograms=[
            score_histogram(counts["edges"], counts["pool"], lines, width=width)
            for width in (WIDE, NARROW)
        ],
    )


def gather_attention(source: Source) -> Attention | None:
    """Of the same fit; none where the features are a projection, which has no stages."""
    fit = gather_pu(source)
    stages = [] if fit is None else fit.report.get("attention", [])
    return Attention(stages) if stages else None


def draw_attention(attention: Attention, _: Album) -> Markup:
    """A row per stage, with bars."""
    return fill("panels/attention.html", stages=attention.stages, bar=single_bar)


PANEL = Panel("pu", "PU scores", gather_pu, draw_pu)
ATTENTION = Panel("attention", "Attention", gather_attention, draw_attention)
