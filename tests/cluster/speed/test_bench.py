"""A whole bench of a small pool, its files, and two of them side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.cli.main import app
from cluster.execution import ExecutionConfig
from cluster.speed.figures import Figure
from cluster.speed.report import BenchReport, compare, read_report
from cluster.verbs.bench import BenchResult, bench
from selector.scoring.spec import ScoreSpec
from selector.teachers.spec import TeacherSpec
from shards.errors import UsageError
from tests.support.pools import write_pool, write_teacher

pytestmark = pytest.mark.xdist_group("bench")  # one worker makes the fixtures, once

EXECUTION = ExecutionConfig(executor="inline", threads=1, batch_size=16)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    write_pool(folder / "pool", shards=3, images=40)
    write_teacher(folder / "teacher.safetensors")
    return folder


def spec_of(home: Path) -> ScoreSpec:
    return ScoreSpec(
        teacher=TeacherSpec(name="he/resnet8", weights=str(home / "teacher.safetensors"))
    )


@pytest.fixture(scope="module")
def made(home: Path) -> BenchResult:
    return bench(
        [str(home / "pool")], spec=spec_of(home), out=str(home / "out"), execution=EXECUTION,
        images=100, rounds=3, price_per_hour=2.0, features=True,
    )  # fmt: skip


def test_every_stage_is_measured_alone_and_together(made: BenchResult) -> None:
    report = made.report
    assert set(report.limits) == {"storage", "tar", "decode", "model", "compute", "write"}
    for one in (*report.limits.values(), report.engine):
        assert len(one.values) == 3
        assert min(one.values) > 0
    limits = {name: one.median for name, one in report.limits.items()}
    assert limits["compute"] < min(limits["decode"], limits["model"])
    assert report.bound_by not in ("decode", "model"), "on a CPU they share the cores"
    assert report.limit == report.limits[report.bound_by]
    assert report.workload["images"] == 100
    assert report.workload["features"] > 0
    assert report.workload["decode"] == "exact"
    assert report.gpu_busy is None
    assert report.cost_per_million == pytest.approx(2e6 / report.engine.median / 3600)


def test_its_files_say_the_same(made: BenchResult, home: Path) -> None:
    again = read_report(str(home / "out" / "bench.json"))
    assert again == made.report
    page = (home / "out" / "bench.html").read_text()
    assert "http" not in page.replace("http://www.w3.org", "")
    assert f"{made.report.engine.median:,.0f}" in page
    text = "\n".join(made.report.lines())
    assert "<- bounds" in text
    assert f"{made.report.efficiency.median:.1%} of the limit" in text


def altered(path: Path, change: Callable[[dict[str, Any]], None]) -> str:
    content = json.loads(path.read_text())
    change(content)
    target = path.with_name("altered.json")
    target.write_text(json.dumps(content))
    return str(target)


def test_a_regression_ends_with_3_and_is_named(
    made: BenchResult, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def faster(content: dict[str, Any]) -> None:
        content["engine"]["values"] = [1e9, 1.1e9, 1.2e9]

    old = altered(home / "out" / "bench.json", faster)
    code = app(
        ["bench", str(home / "pool"), "--teacher", "he/resnet8", "--weights",
         str(home / "teacher.safetensors"), "--images", "100", "--rounds", "3", "--actors", "1",
         "--threads", "1", "--batch-size", "16", "--features", "--against", old],
        prog_name="coursepack", standalone_mode=False,
    )  # fmt: skip
    assert code == 3
    slower = [one for one in capsys.readouterr().out.splitlines() if one.endswith("slower")]
    assert any("the engine" in line for line in slower)


def test_a_file_of_score_says_what_to_run(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {
        "pool": [str(home / "pool")],
        "out": str(tmp_path / "never-made"),
        "teacher": {"name": "he/resnet8", "weights": str(home / "teacher.safetensors")},
        "execution": {"actors": 2, "threads": 1, "batch_size": 8},
        "views": "five",
    }
    (tmp_path / "score.yaml").write_text(yaml.safe_dump(config))
    words = ["bench", "--config", str(tmp_path / "score.yaml"), "--images", "64", "--rounds", "3"]
    assert app([*words, "--json"], prog_name="coursepack", standalone_mode=False) in (0, None)
    found = json.loads(capsys.readouterr().out)
    assert found["workload"]["batch_size"] == 8
    assert found["workload"]["workers"] == 2
    assert found["workload"]["views"] == "five"
    assert not (tmp_path / "never-made").exists()


def test_other_machines_and_workloads_are_told_and_no_regression(made: BenchResult) -> None:
    stamp = {**made.report.stamp, "hardware": {**made.report.stamp["hardware"], "cores": 999}}
    before = BenchReport(
        {**made.report.workload, "batch_size": 999}, made.report.limits, Figure((1e9,) * 3), stamp
    )
    found = compare(made.report, before)
    told = " ".join(found.differences)
    assert "cores: 999 then" in told
    assert "batch_size: 999 then, 16 now" in told
    assert "views" not in told
    several = replace(made.report, workload={**made.report.workload, "views": "ten"})
    assert compare(several, before).differences[-1] == "views: one then, ten now"
    assert "views ten, batch" in "\n".join(several.lines())
    assert BenchResult(made.report, None, None, found).exit_code == 0


def test_what_cannot_be_measured_is_told(made: BenchResult, home: Path, tmp_path: Path) -> None:
    few = write_pool(tmp_path / "few", shards=1, images=8)
    with pytest.raises(UsageError, match="8 samples; a bench needs at least 64"):
        bench([str(few)], spec=spec_of(home), execution=EXECUTION)
    with pytest.raises(UsageError, match="rounds is 2"):
        bench([str(few)], spec=spec_of(home), execution=EXECUTION, rounds=2)
    with pytest.raises(UsageError, match="measures the machine that it runs on"):
        bench([str(few)], spec=spec_of(home), execution=ExecutionConfig(address="auto"))
    (tmp_path / "no.json").write_text("[1]")
    with pytest.raises(UsageError, match="is no report of `coursepack bench`"):
        read_report(str(tmp_path / "no.json"))
    old = altered(home / "out" / "bench.json", lambda content: content.update(format=99))
    with pytest.raises(UsageError, match="format 99, this version reads 1"):
        read_report(old)
