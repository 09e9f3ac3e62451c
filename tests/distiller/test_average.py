from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from distiller.average import AverageOptions, start_average
from distiller.checkpoint import load_newest_checkpoint
from distiller.trainer import distill
from tests.distiller.small_runs import small_config, supervised


def test_the_average_by_formula_batch_norm_included() -> None:
    student = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    average = start_average(student, AverageOptions(decay=0.75))
    expected: dict[str, torch.Tensor] = {}
    for step in range(4):
        with torch.no_grad():
            for tensor in (*student.parameters(), student[1].running_mean):
                tensor.copy_(torch.full_like(tensor, float(step)))
        average.update_parameters(student)
        for name, value in student.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            before = expected.get(name, value)  # it starts as the first update's weights
            expected[name] = 0.75 * before + 0.25 * value
    for name, value in expected.items():
        torch.testing.assert_close(average.module.state_dict()[name], value)


def test_the_average_is_what_is_kept(tmp_path: Path) -> None:
    averaged = distill(small_config(tmp_path, average={"decay": 0.9}))
    state, _ = load_newest_checkpoint(averaged.out / "checkpoints")
    assert state is not None
    kept = safetensors.torch.load_file(averaged.student_weights)
    for name, tensor in kept.items():
        assert torch.equal(tensor, state["average"][f"module.{name}"])
    assert any(not torch.equal(tensor, state["student"][name]) for name, tensor in kept.items())


def test_a_continued_run_averages_the_same(tmp_path: Path) -> None:
    whole = distill(small_config(tmp_path, average={"decay": 0.9}, out=str(tmp_path / "whole")))

    class Stop(Exception):
        pass

    def stop(event: object) -> None:
        if getattr(event, "kind", "") == "checkpoint" and getattr(event, "step", 0) == 5:
            raise Stop

    config = small_config(tmp_path, average={"decay": 0.9}, out=str(tmp_path / "cut"))
    with pytest.raises(Stop):
        distill(config, on_event=stop)
    continued = distill(config)
    assert continued.student_weights.read_bytes() == whole.student_weights.read_bytes()


def test_evaluation_is_of_the_average(tmp_path: Path) -> None:
    """It is the last step where nothing is kept, and the first where everything is."""
    last, slow, first = (
        distill(supervised(tmp_path, steps=steps, out=str(tmp_path / name), average=average))
        for name, steps, average in (
            ("last", 20, {"decay": 1e-12}),
            ("slow", 20, {"decay": 1 - 1e-9}),
            ("first", 1, None),
        )
    )
    plain = distill(supervised(tmp_path, steps=20, out=str(tmp_path / "plain")))
    assert last.metrics["nll"] == pytest.approx(plain.metrics["nll"], rel=1e-4)
    assert slow.metrics["nll"] == pytest.approx(first.metrics["nll"], rel=1e-4)
    assert plain.metrics["nll"] != pytest.approx(first.metrics["nll"], rel=1e-3)
    assert slow.metrics["train_loss"] == plain.metrics["train_loss"]
