"""Training of the PU head on cached features: stratified batches, one step of Algorithm 1 each.

Plain shuffling of positives among the pool, as in the paper, gives 3 positives to a batch of 4,096
and none to some: their term of the risk would be noise. Here every batch carries a fixed number of
both.

Legend: D = dimensions, P = labelled rows, M = held-out rows of the pool.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from selector.pu.network import PUHead, new_head
from selector.pu.pool_rows import PoolRows
from selector.pu.ranks import ranking_quality
from selector.pu.risk import PURisk, Surrogate, pu_risk
from selector.pu.settings import PUSettings

Floats = npt.NDArray[np.float32]

EVAL_ROWS = 16_384
"""Rows of a forward pass without gradients."""


@dataclass(frozen=True)
class HeldOut:
    """Rows that training never sees, from the labelled images and from the pool."""

    positives_PD: npt.NDArray[np.floating[Any]]
    pool_MD: npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class HeadFit:
    """A trained head.

    Attributes:
        head: in eval mode.
        curve: one dict per check: step, lr, the risk's parts averaged since the last check
            (`risk`, `positive_part`, `bracket`, `ascending` = share of steps that ascended), and
            on held-out rows `held_out_risk` (unbiased), `held_out_tpr` (share with F > 0) and
            `held_out_auc` (`ranking_quality`).
        kept_step: the step whose weights these are.
        batch_positives: labelled rows of a batch, which may be fewer than asked for.
    """

    head: PUHead
    curve: list[dict[str, float]]
    kept_step: int
    batch_positives: int


def train_head(
    pool: PoolRows,
    positives_PD: npt.NDArray[np.floating[Any]],
    held_out: HeldOut,
    *,
    statistics: tuple[Floats, Floats],
    prior: float,
    settings: PUSettings,
    seed: int,
    on_check: Callable[[int, int, dict[str, float]], None] | None = None,
) -> HeadFit:
    """Train one head. The result follows from the arguments and the number of torch's threads.

    Args:
        pool: unlabelled rows.
        positives_PD: (P, D) features of labelled images, P >= 1.
        held_out: what checks look at.
        statistics: mean and deviation of the pool, each (D,).
        prior: share of positives in the pool.
        on_check: called with (step, steps, last entry of the curve).
    """
    generator = torch.Generator().manual_seed(seed)
    head = new_head(pool.dim, hidden=settings.hidden(pool.dim), generator=generator)
    head.set_statistics(*(torch.from_numpy(values) for values in statistics))
    steps = settings.num_steps(pool.num_rows)
    optimizer = _optimizer(head, settings)
    take = min(settings.batch_positives, len(positives_PD))
    labelled = _labelled_batches(positives_PD, take, seed=seed)
    unlabelled = pool.batches(settings.batch_pool, seed=seed)
    curve: list[dict[str, float]] = []
    sums = torch.zeros(4, dtype=torch.float64)
    best: tuple[float, int, dict[str, Tensor]] | None = None
    since_check = since_best = 0
    for step in range(1, steps + 1):
        lr = settings.lr * lr_factor(settings.schedule, (step - 1) / steps)
        for group in optimizer.param_groups:
            group["lr"] = lr
        risk = _step(head, optimizer, next(labelled), next(unlabelled), prior, settings)
        sums += torch.stack(
            [risk.value, risk.positive, risk.bracket, risk.ascends.float()]
        ).detach()
        since_check += 1
        if step % settings.check_every and step != steps:
            continue
        entry = _entry(
            step,
            lr,
            sums / since_check,
            head,
            held_out,
            prior=prior,
            surrogate=settings.surrogate,
        )
        curve.append(entry)
        sums.zero_()
        since_check = 0
        if on_check is not None:
            on_check(step, steps, entry)
        if settings.patience is None:
            continue
        if best is None or entry["held_out_risk"] < best[0]:
            best = (entry["held_out_risk"], step, copy.deepcopy(head.state_dict()))
            since_best = 0
        else:
            since_best += 1
            if since_best >= settings.patience:
                break
    kept_step = step
    if best is not None:
        kept_step = best[1]
        head.load_state_dict(best[2])
    return HeadFit(head.eval().requires_grad_(False), curve, kept_step, take)


@torch.no_grad()
def head_scores(head: PUHead, rows_ND: npt.NDArray[np.floating[Any]]) -> Floats:
    """F of every row, (N,) float32, in the memory of a slice."""
    scores = np.empty(len(rows_ND), np.float32)
    for start in range(0, len(rows_ND), EVAL_ROWS):
        rows = torch.from_numpy(np.ascontiguousarray(rows_ND[start : start + EVAL_ROWS]))
        scores[start : start + EVAL_ROWS] = head(rows).numpy()
    return scores


def _step(
    head: PUHead,
    optimizer: torch.optim.Optimizer,
    positives: Tensor,
    rows: npt.NDArray[np.float16],
    prior: float,
    settings: PUSettings,
) -> PURisk:
    """One batch forward, one step of the optimizer."""
    both = torch.cat([positives, torch.from_numpy(rows).float()])
    scores = head(both)
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


def _optimizer(head: PUHead, settings: PUSettings) -> torch.optim.Optimizer:
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            head.parameters(),
            lr=settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
    return torch.optim.AdamW(head.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)


def lr_factor(schedule: str, progress: float) -> float:
    """Of the learning rate, in [0, 1]; progress in [0, 1). See `PUSettings.schedule`."""
    if schedule == "step":
        return 0.1 ** sum(progress >= mark for mark in (0.25, 0.5, 0.75))
    return 0.5 * (1 + math.cos(math.pi * progress))


def _labelled_batches(
    positives_PD: npt.NDArray[np.floating[Any]], size: int, *, seed: int
) -> Iterator[Tensor]:
    """(size, D) float32 without end: every row once, in random order, then again."""
    rows = torch.from_numpy(np.ascontiguousarray(positives_PD, np.float32))
    rng = np.random.default_rng([seed, 2])
    order = np.empty(0, np.int64)
    while True:
        while len(order) < size:
            order = np.concatenate([order, rng.permutation(len(rows))])
        yield rows[torch.from_numpy(order[:size])]
        order = order[size:]


def _entry(
    step: int,
    lr: float,
    means: Tensor,
    head: PUHead,
    held_out: HeldOut,
    *,
    prior: float,
    surrogate: Surrogate,
) -> dict[str, float]:
    value, positive, bracket, ascending = means.tolist()
    positives = torch.from_numpy(head_scores(head, held_out.positives_PD))
    pool = torch.from_numpy(head_scores(head, held_out.pool_MD))
    # Unbiased whatever the training uses: on rows that nobody fitted nothing drives it below 0,
    # and a clipped risk could not tell two heads apart.
    unseen = pu_risk(positives, pool, prior=prior, method="upu", surrogate=surrogate)
    return {
        "step": step,
        "lr": lr,
        "risk": value,
        "positive_part": positive,
        "bracket": bracket,
        "ascending": ascending,
        "held_out_risk": float(unseen.value),
        "held_out_tpr": float((positives > 0).float().mean()),
        "held_out_auc": ranking_quality(positives.numpy(), pool.numpy()),
    }
