from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from distiller.divergence import DivergedError, stop_if_not_finite
from distiller.objective import LossParts


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_not_finite_stops_with_its_batch_saved(tmp_path: Path, value: float) -> None:
    loss = LossParts(torch.tensor(value), {"kd": torch.tensor(value), "ce": torch.tensor(2.0)})
    views = torch.arange(12, dtype=torch.uint8).view(1, 3, 2, 2)
    with pytest.raises(DivergedError) as error:
        stop_if_not_finite(
            loss, step=7, folder=tmp_path, evidence={"views": views, "teacher_logits": None}
        )
    path = tmp_path / "diverged-00000007.safetensors"
    message = str(error.value)
    assert "step 7" in message
    assert "ce = 2" in message
    assert str(path) in message
    saved = safetensors.torch.load_file(path)
    assert saved.keys() == {"views"}
    assert torch.equal(saved["views"], views)


def test_a_finite_loss_leaves_no_trace(tmp_path: Path) -> None:
    stop_if_not_finite(LossParts(torch.tensor(3.0), {}), step=0, folder=tmp_path, evidence={})
    assert list(tmp_path.iterdir()) == []


def test_a_gradient_that_is_not_finite_stops_too(tmp_path: Path) -> None:
    loss = LossParts(torch.tensor(1.0), {})
    with pytest.raises(DivergedError, match=r"the loss is 1 .*, the norm of its gradient nan"):
        stop_if_not_finite(
            loss, step=0, folder=tmp_path, evidence={}, gradient_norm=torch.tensor(float("nan"))
        )
    stop_if_not_finite(loss, step=0, folder=tmp_path, evidence={}, gradient_norm=torch.tensor(2.0))
