"""Every metric of a run, by name: what it counts, its unit, its kind. Dashboards are made of these.

Ray puts `ray_` in front of each name when it exports them, and `_total` behind counters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cluster.metrics import STAGES
from cluster.progress import Progress, RunFacts

Kind = Literal["counter", "gauge"]


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        kind: `counter` only grows, within a call; `gauge` goes up and down.
        labels: Names of the labels beside `run`.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    @property
    def ray_name(self) -> str:
        """Its name in what Ray exports."""
        return f"ray_{self.name}" + ("_total" if self.kind == "counter" else "")


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("coursepack_images", "counter", "Images scored by this call.", ("status",)),
        Metric("coursepack_image_bytes", "counter", "Encoded bytes of those images."),
        Metric("coursepack_parts_done", "counter", "Parts finished by this call."),
        Metric("coursepack_parts_repeated", "counter", "Parts that went round again."),
        Metric("coursepack_parts_quarantined", "counter", "Parts given up."),
        Metric("coursepack_worker_deaths", "counter", "Workers lost."),
        Metric(
            "coursepack_worker_seconds", "counter",
            "Seconds that workers spent in or waiting for a stage: read, decode, model, write.",
            ("stage",),
        ),
        Metric("coursepack_workers", "gauge", "Workers at work."),
        Metric("coursepack_workers_starting", "gauge", "Workers that are not there yet."),
        Metric("coursepack_parts_in_flight", "gauge", "Parts in hand."),
        Metric("coursepack_input_bytes_done", "gauge", "Input bytes done, earlier calls included."),
        Metric("coursepack_input_bytes", "gauge", "Input bytes of the pool."),
    )
}  # fmt: skip

STAGE_LABELS = dict(zip(STAGES, ("read", "decode", "model", "write"), strict=True))

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
"""(metric, its labels) -> value; of counters the total so far."""


def samples(progress: Progress, facts: RunFacts) -> Samples:
    """The value of every metric now."""
    counters = facts.counters
    found: Samples = {
        ("coursepack_image_bytes", ()): counters.get("bytes", 0.0),
        ("coursepack_parts_done", ()): float(facts.parts_done),
        ("coursepack_parts_repeated", ()): float(facts.repeated),
        ("coursepack_parts_quarantined", ()): float(facts.quarantined),
        ("coursepack_worker_deaths", ()): float(facts.worker_deaths),
        ("coursepack_workers", ()): float(facts.workers),
        ("coursepack_workers_starting", ()): float(facts.starting),
        ("coursepack_parts_in_flight", ()): float(facts.in_flight),
        ("coursepack_input_bytes_done", ()): float(progress.done),
        ("coursepack_input_bytes", ()): float(progress.total),
    }
    for stage, label in STAGE_LABELS.items():
        found["coursepack_worker_seconds", (("stage", label),)] = counters.get(stage, 0.0)
    for name, count in counters.items():
        if name.startswith("status_"):
            found["coursepack_images", (("status", name.removeprefix("status_")),)] = count
    return found
