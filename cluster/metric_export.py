"""Metrics to where Prometheus looks: through Ray on a cluster, else a text file in the run.

The text file is for node-exporter's textfile collector, or for a look: `run/report/metrics.prom`,
rewritten every few seconds while the run goes on. Nothing listens anywhere for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from cluster.metric_catalog import METRICS, Samples, samples
from cluster.progress import OnProgress, Progress
from selector.tables.layout import RunLayout
from shards import atomic, storage

EVERY_S = 10.0

Publish = Callable[[Samples], None]


@contextmanager
def exported(
    on_progress: OnProgress, layout: RunLayout, *, on_ray: bool, every_s: float = EVERY_S
) -> Iterator[OnProgress]:
    """`on_progress`, which also publishes the metrics of what passes through it."""
    publish: Publish | None = RayMetrics(layout.root) if on_ray else _to_file(layout)
    latest: Progress | None = None
    due = 0.0

    def tell(progress: Progress) -> None:
        nonlocal publish
        if publish is None or progress.facts is None:
            return
        try:
            publish(samples(progress, progress.facts))
        except Exception as error:  # for onlookers alone: whatever it is, it must not end a run
            publish = None
            note = f"metrics are not published any more: {type(error).__name__}: {error}"
            on_progress(replace(progress, note=note))

    def passing(progress: Progress) -> None:
        nonlocal latest, due
        on_progress(progress)
        if progress.facts is None:
            return
        latest = progress
        if time.monotonic() >= due:
            tell(progress)
            due = time.monotonic() + every_s

    try:
        yield passing
    finally:
        if latest is not None:
            tell(latest)


class RayMetrics:
    """Publishes through `ray.util.metrics`: each node's agent shows them to Prometheus.

    Args:
        run: Value of the label `run`.
    """

    def __init__(self, run: str) -> None:
        from ray.util import metrics

        kinds = {"counter": metrics.Counter, "gauge": metrics.Gauge}
        self._run = run
        self._told: Samples = {}
        self._metrics: dict[str, Any] = {
            metric.name: kinds[metric.kind](
                metric.name, description=metric.help, tag_keys=("run", *metric.labels)
            )
            for metric in METRICS.values()
        }

    def __call__(self, found: Samples) -> None:
        for (name, labels), value in found.items():
            tags = {"run": self._run, **dict(labels)}
            if METRICS[name].kind == "gauge":
                self._metrics[name].set(value, tags=tags)
                continue
            grown = value - self._told.get((name, labels), 0.0)
            if grown > 0:  # Ray refuses to add nothing
                self._metrics[name].inc(grown, tags=tags)
            self._told[name, labels] = value


def to_text(found: Samples, *, run: str) -> str:
    """The samples in Prometheus' text format, counters with `_total`."""
    lines: list[str] = []
    for metric in METRICS.values():
        own = sorted(
            (labels, value) for (name, labels), value in found.items() if name == metric.name
        )
        if not own:
            continue
        shown = metric.name + ("_total" if metric.kind == "counter" else "")
        lines += [f"# HELP {shown} {metric.help}", f"# TYPE {shown} {metric.kind}"]
        for labels, value in own:
            pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in (("run", run), *labels))
            number = f"{value:.0f}" if value == int(value) else repr(value)
            lines.append(f"{shown}{{{pairs}}} {number}")
    return "\n".join(lines) + "\n"


def _to_file(layout: RunLayout) -> Publish:
    uri = storage.join(layout.report_dir, "metrics.prom")

    def publish(found: Samples) -> None:
        atomic.write_bytes(uri, to_text(found, run=layout.root).encode())

    return publish


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
