"""The student's optimizer: SGD with (Nesterov) momentum, Adam or AdamW, as torch has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from distiller.options import Options


class OptimizerOptions(Options):
    """Which optimizer updates the student. (Q has its own: see `TransitionOptions.lr`.)"""

    kind: Literal["sgd", "adam", "adamw"] = "sgd"
    """sgd, adam (weight decay as part of the gradient) or adamw (weight decay apart from it)."""

    lr: float = Field(default=0.1, gt=0)
    """Initial learning rate; the schedule multiplies it."""

    momentum: float = Field(default=0.9, ge=0, lt=1)
    """SGD only."""

    nesterov: bool = False
    """SGD only: Nesterov's form of momentum."""

    betas: tuple[float, float] = (0.9, 0.999)
    """Adam and AdamW: decay of the averages of gradient and squared gradient."""

    weight_decay: float = Field(default=0.0, ge=0)
    """SGD and Adam: L2 penalty added to the gradient; AdamW: share of lr times the weight that is
    taken off it. Of every parameter, norms and biases included."""

    clip_norm: float | None = Field(default=None, gt=0)
    """The gradient over all parameters is scaled down to at most this norm; null = never."""

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> OptimizerOptions:
        if self.kind == "sgd" and self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: true needs a momentum above 0")
        return self


def build_optimizer(
    parameters: Iterable[nn.Parameter], options: OptimizerOptions
) -> torch.optim.Optimizer:
    """The optimizer that `options` describes, over `parameters`, at the initial rate.

    Torch's single-pass implementations are asked for: on the CPU a small student's many small
    tensors otherwise cost one Python loop per step.
    """
    if options.kind != "sgd":
        adam = torch.optim.Adam if options.kind == "adam" else torch.optim.AdamW
        return adam(
            parameters,
            lr=options.lr,
            betas=options.betas,
            weight_decay=options.weight_decay,
            fused=True,
        )
    return torch.optim.SGD(
        parameters,
        lr=options.lr,
        momentum=options.momentum,
        nesterov=options.nesterov,
        weight_decay=options.weight_decay,
        fused=True,
    )


def parameters_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """What the optimizer updates."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Use `lr` for every parameter from the next update on."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def learning_rate(optimizer: torch.optim.Optimizer) -> float:
    """The rate of the latest update."""
    return float(optimizer.param_groups[0]["lr"])
