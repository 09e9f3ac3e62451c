"""A device that does not hold the batch: told to whoever scores, once, with what to set."""

from __future__ import annotations

import json
from pathlib import Path

from cluster.execution import ExecutionConfig
from cluster.halved_batches import halved_note, smallest_halved
from cluster.metrics import throughput
from cluster.verbs.score import score
from selector.scoring.spec import ScoreSpec
from selector.teachers.spec import TeacherSpec
from tests.support.pools import write_pool


def test_nothing_is_told_where_everything_fits() -> None:
    assert halved_note({"images": 5.0, "forward_halved": 0.0}) == ""
    assert smallest_halved({"halved_to_8": 0.0}) is None
    assert throughput({"images": 5.0}, wall_s=1, workers=1).halved_to is None


def test_the_smallest_size_of_all_workers_is_the_one_to_set() -> None:
    counters = {"forward_halved": 5.0, "halved_to_1024": 3.0, "halved_to_512": 2.0}
    assert smallest_halved(counters) == 512
    note = halved_note(counters)
    assert "halved, 5 times in all, down to 512 images" in note
    assert note.endswith("--batch-size 512 begins there")


def test_a_run_goes_on_and_says_so(tmp_path: Path) -> None:
    write_pool(tmp_path / "pool", shards=3, images=10)
    notes: list[str] = []
    report = score(
        [str(tmp_path / "pool")],
        spec=ScoreSpec(
            teacher=TeacherSpec(name="py:tests.support.greedy:holds_3", allow_code=True)
        ),
        out=str(tmp_path / "run"),
        execution=ExecutionConfig(executor="inline", threads=1, batch_size=8),
        on_progress=lambda progress: notes.append(progress.note),
    )
    assert report.exit_code == 0
    assert report.statuses == {"ok": 30}
    told = [one for one in report.warnings if "--batch-size 2 begins there" in one]
    assert len(told) == 1
    assert "2 times in all" in told[0]
    assert notes.count(told[0]) == 1
    assert report.throughput.halved_to == 2
    assert any("halved to 2 images" in line for line in report.throughput.lines())
    stored = (tmp_path / "run" / "report" / "throughput.jsonl").read_text()
    assert json.loads(stored)["halved_to"] == 2
