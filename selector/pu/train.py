"""The loop that every PU network is trained by: stratified batches, one step of Algorithm 1 each.

Plain shuffling of positives among the pool, as in the paper, gives 3 positives to a batch of 4,096
and none to some: their term of the risk would be noise. Here every batch carries a fixed number of
both.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from selector.pu.ranks import ranking_quality
from selector.pu.risk import PURisk, pu_risk
from selector.pu.settings import PUSettings

Floats = npt.NDArray[np.float32]

OnCheck = Callable[[int, int, dict[str, float]], None]
"""Called with (step, steps, last entry of the curve)."""


class Trained(NamedTuple):
    """What a training was.

    Attributes:
        curve: one dict per check: step, lr, the risk's parts averaged since the last check
            (`risk`, `positive_part`, `bracket`, `ascending` = share of steps that ascended), and
            on held-out rows `held_out_risk` (unbiased), `held_out_tpr` (share with F > 0) and
            `held_out_auc` (`ranking_quality`).
        kept_step: the step whose weights were kept.
    """

    curve: list[dict[str, float]]
    kept_step: int


def train_network(
    network: nn.Module,
    labelled: Iterator[Tensor],
    unlabelled: Iterator[Tensor],
    evaluate: Callable[[], tuple[Floats, Floats]],
    *,
    prior: float,
    settings: PUSettings,
    steps: int,
    on_check: OnCheck | None = None,
) -> Trained:
    """Train a network in place; it ends with the weights that are kept.

    Args:
        network: input (N, ...) -> raw logits (N,); its mode (train or eval) is left alone.
        labelled, unlabelled: batches of input without end.
        evaluate: scores of held-out labelled images and of held-out pool rows.
        prior: share of positives in the pool.
    """
    optimizer = _optimizer(network, settings)
    curve: list[dict[str, float]] = []
    sums = torch.zeros(4, dtype=torch.float64)
    best: tuple[float, int, dict[str, Any]] | None = None
    since_check = since_best = 0
    for step in range(1, steps + 1):
        lr = settings.lr * lr_factor(settings.schedule, (step - 1) / steps)
        for group in optimizer.param_groups:
            group["lr"] = lr
        risk = _step(network, optimizer, next(labelled), next(unlabelled), prior, settings)
        parts = torch.stack([risk.value, risk.positive, risk.bracket, risk.ascends.float()])
        sums += parts.detach().cpu()
        since_check += 1
        if step % settings.check_every and step != steps:
            continue
        entry = _entry(step, lr, sums / since_check, evaluate(), prior=prior, settings=settings)
        curve.append(entry)
        sums.zero_()
        since_check = 0
        if on_check is not None:
            on_check(step, steps, entry)
        if settings.patience is None:
            continue
        if best is None or entry["held_out_risk"] < best[0]:
            best = (entry["held_out_risk"], step, copy.deepcopy(network.state_dict()))
            since_best = 0
        else:
            since_best += 1
            if since_best >= settings.patience:
                break
    kept_step = step
    if best is not None:
        kept_step = best[1]
        network.load_state_dict(best[2])
    return Trained(curve, kept_step)


def lr_factor(schedule: str, progress: float) -> float:
    """Of the learning rate, in [0, 1]; progress in [0, 1). See `PUSettings.schedule`."""
    if schedule == "step":
        return 0.1 ** sum(progress >= mark for mark in (0.25, 0.5, 0.75))
    return 0.5 * (1 + math.cos(math.pi * progress))


def _step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    positives: Tensor,
    rows: Tensor,
    prior: float,
    settings: PUSettings,
) -> PURisk:
    """One batch forward, one step of the optimizer."""
    scores = network(torch.cat([positives, rows]))
    risk = pu_risk(
        scores[: len(positives)],
        scores[len(positives) :],
        prior=prior,
        surrogate=settings.surrogate,
        method=settings.method,
        beta=settings.beta,
        gamma=settings.gamma,
    )
    optimizer.zero_grad(set_to_none=True)
    risk.objective.backward()
    optimizer.step()
    return risk


def _optimizer(network: nn.Module, settings: PUSettings) -> torch.optim.Optimizer:
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            network.parameters(),
            lr=settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
    return torch.optim.AdamW(
        network.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
    )


def _entry(
    step: int,
    lr: float,
    means: Tensor,
    unseen: tuple[Floats, Floats],
    *,
    prior: float,
    settings: PUSettings,
) -> dict[str, float]:
    value, positive, bracket, ascending = means.tolist()
    positives, pool = (torch.from_numpy(scores) for scores in unseen)
    # Unbiased whatever the training uses: on rows that nobody fitted nothing drives it below 0,
    # and a clipped risk could not tell two networks apart.
    risk = pu_risk(positives, pool, prior=prior, method="upu", surrogate=settings.surrogate)
    return {
        "step": step,
        "lr": lr,
        "risk": value,
        "positive_part": positive,
        "bracket": bracket,
        "ascending": ascending,
        "held_out_risk": float(risk.value),
        "held_out_tpr": float((positives > 0).float().mean()),
        "held_out_auc": ranking_quality(*unseen),
    }
