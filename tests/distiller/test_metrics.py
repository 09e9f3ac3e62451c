from __future__ import annotations

import json
from pathlib import Path

import pytest

from distiller.metrics import MetricsLog, read_metrics, truncate_metrics
from shards.errors import StorageError


def test_records_are_lines_in_order(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, step=0) as log:
        log.write("train", 10, {"loss": 1.5})
        log.write("eval", 10, {"top1": 0.25})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 10, "kind": "train", "loss": 1.5},
        {"step": 10, "kind": "eval", "top1": 0.25},
    ]


def test_a_record_is_in_the_file_before_the_run_goes_on(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, step=0) as log:
        log.write("train", 1, {"loss": 1.0})
        assert len(read_metrics(tmp_path / "metrics.jsonl")) == 1


def test_a_resumed_run_takes_back_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(tmp_path, step=0) as log:
        for step in (10, 20, 30):
            log.write("train", step, {"loss": 1.0})
    path.write_text(path.read_text() + '{"step": 40, "ki')
    with MetricsLog(tmp_path, step=20) as log:
        log.write("train", 30, {"loss": 2.0})
    assert [(r["step"], r["loss"]) for r in read_metrics(path)] == [(10, 1), (20, 1), (30, 2)]


def test_a_line_cut_short_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "kind": "train"}\n{"step": 2, "ki')
    assert [record["step"] for record in read_metrics(path)] == [1]
    truncate_metrics(path, step=5)
    assert path.read_text() == '{"step": 1, "kind": "train"}\n'


def test_nothing_to_take_back_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "kind": "train"}\n')
    before = path.stat().st_mtime_ns
    truncate_metrics(path, step=1)
    truncate_metrics(tmp_path / "missing.jsonl", step=1)
    assert path.stat().st_mtime_ns == before
    assert read_metrics(tmp_path / "missing.jsonl") == []


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(StorageError, match=r"metrics\.jsonl: cannot be written"):
        MetricsLog(tmp_path, step=0)


def test_tensorboard_gets_the_same_figures(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with MetricsLog(tmp_path, step=0) as log:
        log.write("train", 10, {"loss": 1.5})
        log.write("train", 20, {"loss": 1.25})
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [(e.step, e.value) for e in board.Scalars("train/loss")] == [(10, 1.5), (20, 1.25)]
