"""A loss or gradient that is not finite stops the run BEFORE it reaches the weights, and leaves
evidence."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from distiller.objective import LossParts
from distiller.team import ALONE, Team
from shards import atomic
from shards.errors import CoursepackError


class DivergedError(CoursepackError):
    """Loss or gradient became NaN or infinite; weights are those of the last good step."""


def stop_if_not_finite(
    loss: LossParts,
    *,
    step: int,
    folder: Path,
    evidence: dict[str, Tensor | None],
    gradient_norm: Tensor | None = None,
    team: Team = ALONE,
) -> None:
    """Return when loss and gradient are finite; else save the batch and raise.

    Args:
        loss: of the batch.
        step: the update that it would have been, from 0.
        folder: of the run; the batch goes to diverged-STEP.safetensors there.
        evidence: tensors by name (indices, views, logits); None values are left out.
        gradient_norm: over all parameters, once the backward pass has run.
        team: all its processes stop when one has to.

    Raises:
        DivergedError: naming the step, each part of the loss and the saved file.
    """
    value = loss.total.detach() if gradient_norm is None else gradient_norm
    # Infinite minus infinite is NaN, so finite here means finite everywhere.
    if bool(torch.isfinite(team.total(value))):
        return
    path = folder / f"diverged-{step:08d}{'' if team.leads else f'-{team.rank}'}.safetensors"
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in evidence.items()
        if tensor is not None
    }
    atomic.write_bytes(str(path), save(tensors))
    parts = ", ".join(f"{name} = {float(value):g}" for name, value in loss.parts.items())
    found = f"the loss is {float(loss.total.detach()):g} ({parts})"
    if gradient_norm is not None:
        found += f", the norm of its gradient {float(gradient_norm):g}"
    raise DivergedError(
        f"step {step}: {found}, expected finite numbers; no weight was changed by this batch, "
        f"which is saved in {path}. Lower optimizer.lr, add schedule.warmup_steps, or look at the "
        "batch"
    )
