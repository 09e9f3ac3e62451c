"""Training of the PU head on cached features.

Legend: D = dimensions, P = labelled rows, M = held-out rows of the pool.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from selector.pu.network import PUHead, new_head
from selector.pu.pool_rows import PoolRows
from selector.pu.settings import PUSettings
from selector.pu.train import OnCheck, train_network

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
        curve: see `Trained`.
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
    on_check: OnCheck | None = None,
) -> HeadFit:
    """Train one head. The result follows from the arguments and the number of torch's threads.

    Args:
        pool: unlabelled rows.
        positives_PD: (P, D) features of labelled images, P >= 1.
        held_out: what checks look at.
        statistics: mean and deviation of the pool, each (D,).
        prior: share of positives in the pool.
    """
    generator = torch.Generator().manual_seed(seed)
    head = new_head(pool.dim, hidden=settings.hidden(pool.dim), generator=generator)
    head.set_statistics(*(torch.from_numpy(values) for values in statistics))
    steps = settings.num_steps(pool.num_rows)
    take = min(settings.batch_positives, len(positives_PD))
    rows = pool.batches(settings.batch_pool, seed=seed)
    trained = train_network(
        head,
        _labelled_batches(positives_PD, take, seed=seed),
        (torch.from_numpy(batch).float() for batch in rows),
        lambda: (
            head_scores(head, held_out.positives_PD),
            head_scores(head, held_out.pool_MD),
        ),
        prior=prior,
        settings=settings,
        steps=steps,
        on_check=on_check,
    )
    return HeadFit(head.eval().requires_grad_(False), trained.curve, trained.kept_step, take)


@torch.no_grad()
def head_scores(head: PUHead, rows_ND: npt.NDArray[np.floating[Any]]) -> Floats:
    """F of every row, (N,) float32, in the memory of a slice."""
    scores = np.empty(len(rows_ND), np.float32)
    for start in range(0, len(rows_ND), EVAL_ROWS):
        rows = torch.from_numpy(np.ascontiguousarray(rows_ND[start : start + EVAL_ROWS]))
        scores[start : start + EVAL_ROWS] = head(rows).numpy()
    return scores


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
