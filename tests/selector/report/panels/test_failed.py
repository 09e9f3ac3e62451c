"""failed: each reason is counted and shows its first images."""

from __future__ import annotations

from pathlib import Path

from selector.report.album import Album
from selector.report.panels.failed import EXAMPLES_PER_STATUS, draw_failures, gather_failures
from selector.report.source import open_source
from selector.selection import select
from tests.support.runs import write_run

RECIPE = {"name": "top", "steps": [{"take": {"n": 7, "order": "noise_value"}}]}


def test_failures_show_their_first_images(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_shards=3, per_shard=200)
    select(run.root, RECIPE)
    with open_source(run.root, "top") as source:
        failures = gather_failures(source)
    (failure,) = failures.reasons
    assert (failure.status, failure.count, failures.num_rows) == ("undecodable", 30, 600)
    assert [e["key"] for e in failure.examples] == [
        f"s00000/img{i:06d}" for i in range(19, 120, 20)
    ][:EXAMPLES_PER_STATUS]
    assert failure.examples[0]["error"] == "not an image"
    assert draw_failures(failures, Album()).count("not an image") == EXAMPLES_PER_STATUS


def test_a_pool_without_failures_says_so(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_shards=1, failed_every=0)
    select(run.root, RECIPE)
    with open_source(run.root, "top") as source:
        failures = gather_failures(source)
    assert "None: every image" in draw_failures(failures, Album())
