"""A loss that is not finite stops the run BEFORE it reaches the weights, and leaves evidence."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from distiller.objective import LossParts
from shards import atomic
from shards.errors import CoursepackError


class DivergedError(CoursepackError):
    """The loss became NaN or infinite; weights are those of the last good step."""


def stop_if_not_finite(
    loss: LossParts, *, step: int, folder: Path, evidence: dict[str, Tensor | None]
) -> None:
    """Return when the loss is finite; else save the batch and raise.

    Args:
        loss: of the batch, before the backward pass.
        step: the update that it would have been, from 0.
        folder: of the run; the batch goes to diverged-STEP.safetensors there.
        evidence: tensors by name (indices, views, logits); None values are left out.

    Raises:
        DivergedError: naming the step, each part of the loss and the saved file.
    """
    if bool(torch.isfinite(loss.total)):
        return
    path = folder / f"diverged-{step:08d}.safetensors"
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in evidence.items()
        if tensor is not None
    }
    atomic.write_bytes(str(path), save(tensors))
    parts = ", ".join(f"{name} = {float(value):g}" for name, value in loss.parts.items())
    raise DivergedError(
        f"step {step}: the loss is {float(loss.total.detach()):g} ({parts}), expected a finite "
        f"number; no weight was changed by this batch, which is saved in {path}. Lower "
        "optimizer.lr, add schedule.warmup_steps, or look at the batch"
    )
