"""pu: histogram, prior and positives of the newest fit; attention per stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from selector.report.album import Album
from selector.report.page import report
from selector.report.panels.pu import draw_attention, draw_pu, gather_attention, gather_pu
from selector.report.source import open_source
from selector.selection import select
from selector.tables.facts import fact_tables
from tests.support.runs import SyntheticRun, write_facts, write_run

RECIPE = {"name": "top", "steps": [{"take": {"n": 7, "order": "noise_value"}}]}

FIT: dict[str, Any] = {
    "num_selected": 40,
    "num_pool": 190,
    "mode": "head",
    "prior": {
        "value": 0.21,
        "given": False,
        "estimator": "bbe",
        "low": 0.18,
        "high": 0.25,
        "fragile": True,
        "reasons": ["only 24 <held-out> positives"],
    },
    "positives": {
        "total": 120,
        "train": 96,
        "held_out": 24,
        "failed": [],
        "misclassified": [{"key": f"<digit>-{i}", "label": 7, "teacher": 1} for i in range(14)],
        "classes_without": [4, 12],
    },
    "true_positive_rate": 0.958,
    "true_positive_rate_low": 0.8,
    "true_positive_rate_high": 0.99,
    "histograms": {
        "edges": [-2.0, -1.0, 0.0, 1.0, 2.0],
        "pool": [100, 50, 10, 30],
        "positives": [0, 1, 5, 90],
        "held_out": [0, 1, 3, 20],
    },
    "attention": [{"stage": "conv1", "dim": 6, "pool": 0.41, "positives": 0.52}],
}


def run_with_fit(tmp_path: Path, **changes: Any) -> SyntheticRun:
    run = write_run(tmp_path / "run", num_shards=1)
    select(run.root, RECIPE)
    write_facts(
        run,
        "pu",
        {"row_id": run.scores["row_id"].combine_chunks(), "pu_score": pa.array([0.5] * 100)},
    )
    (fact,) = fact_tables(run.layout, "pu")
    folder = Path(run.root, "pu", fact.fact_id)
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps({**FIT, **changes}))
    return run


def test_the_fit_is_told_with_its_weak_spots(tmp_path: Path) -> None:
    run = run_with_fit(tmp_path)
    with open_source(run.root, "top") as source:
        fit = gather_pu(source)
        attention = gather_attention(source)
    assert fit is not None
    html = draw_pu(fit, Album())
    assert "21\xa0%" in html
    assert "only 24 &lt;held-out&gt; positives" in html
    assert "No labelled image of class deer" in html
    assert "No labelled image of class 12" in html  # beyond the names that there are
    assert html.count("<code>&lt;digit&gt;-") == 12
    assert "<td>horse</td><td>car</td>" in html
    assert "2 more" in html
    assert html.count("<svg") == 2
    assert html.count('class="series-2"') == 3  # a line in each figure, and the legend
    assert attention is not None
    assert "conv1" in draw_attention(attention, Album())


def test_without_a_fit_there_is_no_panel(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_shards=1)
    select(run.root, RECIPE)
    with open_source(run.root, "top") as source:
        assert gather_pu(source) is None
        assert gather_attention(source) is None


def test_projected_features_have_no_attention(tmp_path: Path) -> None:
    run = run_with_fit(tmp_path, attention=[])
    with open_source(run.root, "top") as source:
        assert gather_attention(source) is None


def test_the_page_has_the_panel(tmp_path: Path) -> None:
    run = run_with_fit(tmp_path)
    page = Path(report(run.root, "top")).read_text()
    assert '<section id="pu">' in page
    assert '<section id="attention">' in page
    assert '<section id="truth">' not in page
