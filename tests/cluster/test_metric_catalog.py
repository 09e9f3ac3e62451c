"""Samples name catalogued metrics alone; the dashboard asks for nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

from cluster.metric_catalog import METRICS, samples
from cluster.metrics import STAGES
from cluster.progress import Progress, RunFacts

DASHBOARD = Path(__file__).parents[2] / "docs" / "deploy" / "grafana.json"

FACTS = RunFacts(
    workers=2, parts_done=3, parts=9, repeated=1,
    counters={"images": 10, "bytes": 99, "status_ok": 8, "status_undecodable": 2, "model_s": 1.5},
)  # fmt: skip


def test_samples_are_of_catalogued_metrics_with_their_labels() -> None:
    found = samples(Progress(5, 10, facts=FACTS), FACTS)
    for name, labels in found:
        assert tuple(key for key, _ in labels) == METRICS[name].labels
    assert {name for name, _ in found} == set(METRICS)
    assert found["coursepack_images", (("status", "undecodable"),)] == 2
    assert found["coursepack_worker_seconds", (("stage", "model"),)] == 1.5
    stages = [labels for name, labels in found if name == "coursepack_worker_seconds"]
    assert len(stages) == len(STAGES)


def test_every_query_of_the_dashboard_names_metrics_that_exist() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [one["query"] for one in dashboard["templating"]["list"]]
    named = {name for query in queries for name in re.findall(r"\b\w*coursepack_\w+", query)}
    known = {metric.ray_name for metric in METRICS.values()}
    assert named <= known, named - known
    assert named == known, f"no panel shows {known - named}"
    labels = {label for q in queries for label in re.findall(r"(?:by \(|[{,])(\w+)(?:\)|[=!])", q)}
    assert labels <= {"run", *(label for metric in METRICS.values() for label in metric.labels)}
