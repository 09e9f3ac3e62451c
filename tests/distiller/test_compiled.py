from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distiller.compiled import compiled_for_training
from distiller.metrics import read_metrics
from distiller.trainer import distill
from selector.teachers.stage_maps import with_stage_maps
from selector.teachers.tapped_graph import TapPurpose
from selector.teachers.taps import parse_taps
from selector.teachers.zoo import build_model
from shards.errors import UsageError
from tests.distiller.small_runs import small_config


def test_it_is_the_network_itself_that_trains() -> None:
    """Through torch's own graph capture, without the minutes of generating code."""
    torch.manual_seed(0)
    student = build_model("he/resnet8", num_classes=4).train()
    twin = copy.deepcopy(student)
    x = torch.randn(4, 3, 8, 8)
    purpose = TapPurpose(option="taps", way_out="go without")
    mapped = with_stage_maps(
        student, parse_taps(["layer2"]), example=x, name="it", purpose=purpose, for_training=True
    )
    run = compiled_for_training(mapped.module, backend="aot_eager")
    for _ in range(2):
        logits, (one,) = run(x)
        torch.testing.assert_close(logits, twin(x))
        assert one.shape == (4, 32, 4, 4)
    (logits.sum() + one.sum()).backward()
    assert all(p.grad is not None for p in student.parameters())
    for name, buffer in student.named_buffers():  # statistics moved, twice
        torch.testing.assert_close(buffer, dict(twin.named_buffers())[name])


def test_where_nothing_can_be_compiled_it_is_told() -> None:
    def without_compiler(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        raise RuntimeError("no g++ on the path")

    network = build_model("lenet/5-half", num_classes=4)
    run = compiled_for_training(network, backend=without_compiler)
    with pytest.raises(UsageError, match=r"fails here \(.*no g\+\+ on.*or leave compile out"):
        run(torch.zeros(2, 1, 32, 32))


@pytest.mark.slow
def test_a_compiled_run_is_the_plain_one_but_for_rounding(tmp_path: Path) -> None:
    lines = []
    for compiled in (False, True):
        out = tmp_path / str(compiled)
        distill(small_config(tmp_path, steps=4, compile=compiled, out=str(out)))
        lines += read_metrics(out / "metrics.jsonl")
    assert lines[1]["loss"] == pytest.approx(lines[0]["loss"], rel=1e-4)
    assert lines[1]["gradient_norm"] == pytest.approx(lines[0]["gradient_norm"], rel=1e-3)
