"""What Prometheus would find: a text file in the run, or the metrics page of a Ray node."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.metric_catalog import METRICS, samples
from cluster.metric_export import exported, to_text
from cluster.progress import Progress, RunFacts
from selector.tables.layout import RunLayout

FACTS = RunFacts(workers=2, counters={"status_ok": 8.0, "model_s": 1.5})


def test_the_text_format() -> None:
    text = to_text(samples(Progress(5, 10), FACTS), run='/run "a"\\b\nc')
    for line in text.splitlines():
        assert re.fullmatch(
            r"# (HELP|TYPE) coursepack_\w+ .+"
            r'|coursepack_\w+\{run="/run \\"a\\"\\\\b\\nc"(,\w+="\w+")*\} \d+(\.\d+)?',
            line,
        ), line
    assert 'coursepack_images_total{run="/run \\"a\\"\\\\b\\nc",status="ok"} 8' in text
    assert "# TYPE coursepack_workers gauge" in text


def test_a_run_without_ray_keeps_a_text_file_and_passes_everything_on(tmp_path: Path) -> None:
    layout, seen = RunLayout(str(tmp_path)), []
    file = tmp_path / "report" / "metrics.prom"
    with exported(seen.append, layout, on_ray=False) as on_progress:
        on_progress(Progress(0, 10, note="starts"))
        assert not file.exists(), "nothing is known yet"
        on_progress(Progress(1, 10, facts=FACTS))
        assert 'status="ok"} 8\n' in file.read_text()
        on_progress(Progress(2, 10, facts=replace(FACTS, counters={"status_ok": 9.0})))
    assert [progress.done for progress in seen] == [0, 1, 2]
    assert 'status="ok"} 9\n' in file.read_text(), "the end is always told"


def test_a_place_that_cannot_be_written_does_not_end_the_run(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("")
    seen: list[Progress] = []
    layout = RunLayout(str(tmp_path))
    with exported(seen.append, layout, on_ray=False, every_s=0) as on_progress:
        for done in (1, 2):
            on_progress(Progress(done, 10, facts=FACTS))
    notes = [progress.note for progress in seen if progress.note]
    assert len(notes) == 1, "told once"
    assert "metrics are not published any more" in notes[0]


PROGRAM = """
import ray, sys, time, urllib.request
from cluster.metric_export import RayMetrics
from cluster.metric_catalog import samples
from cluster.progress import Progress, RunFacts
from cluster.ray_private import start_private
start_private(ray, num_cpus=1, object_store_memory=80_000_000, log_to_driver=False,
              _system_config={"metrics_report_interval_ms": 500})  # Ray's own is ten seconds
publish = RayMetrics("/run")
for images in (3, 5):
    counters = {"status_ok": images, "bytes": 1, "model_s": 1, "wait_read_s": 1,
                "wait_decode_s": 1, "wait_write_s": 1}
    facts = RunFacts(2, 1, 1, 1, 1, 1, 1, 1, counters)
    publish(samples(Progress(5, 10), facts))
url = f"http://127.0.0.1:{ray.nodes()[0]['MetricsExportPort']}/metrics"
for _ in range(600):
    page = urllib.request.urlopen(url).read().decode()
    if "coursepack_images_total" in page:
        break
    time.sleep(0.1)
print(page)
"""


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_ray_exports_the_names_that_the_catalog_promises() -> None:
    pytest.importorskip("ray", reason="needs the ray extra")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("ray_coursepack_")]
    assert {metric.ray_name for metric in METRICS.values()} <= {
        line.partition("{")[0] for line in lines
    }
    (images,) = [line for line in lines if line.startswith("ray_coursepack_images_total{")]
    assert 'run="/run"' in images
    assert 'status="ok"' in images
    assert images.endswith(" 5.0")
