"""Scores of labelled images and pool rows by discriminators that have seen neither.

Estimating the prior needs a classifier before there is a prior: one that tells labelled images from
the pool, whatever is in it. Labelled images are few, so none is wasted: in turn each fold is left
out of the training and scored. Scores of different folds have different scales; what is comparable
is where a score stands among the pool rows of its fold.

Legend: P = labelled images, M = pool rows, D = dimensions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import softplus

from selector.pu.network import new_head
from selector.pu.ranks import ranks_among
from selector.pu.train import lr_factor
from selector.pu.train_head import head_scores

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.floating[Any]]

FOLDS = 5
_STEPS = 300
_BATCH_POSITIVES, _BATCH_POOL = 128, 384
_LR, _WEIGHT_DECAY = 3e-3, 0.1


def crossfitted_ranks(
    positives_PD: Rows,
    pool_MD: Rows,
    *,
    statistics: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    hidden: int,
    seed: int,
    folds: int = FOLDS,
) -> tuple[Floats, Floats]:
    """Ranks (P,) of the labelled images and (M,) of the pool rows, higher is more like the former.

    A rank is the share of the pool rows of the same fold that score lower; ties count half.

    Args:
        positives_PD, pool_MD: features; at least `folds` rows of each.
        statistics: mean and deviation of the pool, each (D,).
        hidden: width of the attention's squeeze.
    """
    rng = np.random.default_rng([seed, 3])
    fold_P = rng.permutation(len(positives_PD)) % folds
    fold_M = rng.permutation(len(pool_MD)) % folds
    ranks_P, ranks_M = np.empty(len(positives_PD)), np.empty(len(pool_MD))
    for fold in range(folds):
        out_P, out_M = fold_P == fold, fold_M == fold
        head = _discriminator(
            positives_PD[~out_P],
            pool_MD[~out_M],
            statistics=statistics,
            hidden=hidden,
            seed=seed * folds + fold,
        )
        pool = head_scores(head, pool_MD[out_M])
        ranks_P[out_P] = ranks_among(head_scores(head, positives_PD[out_P]), pool)
        ranks_M[out_M] = ranks_among(pool, pool)
    return ranks_P, ranks_M


def _discriminator(
    positives_PD: Rows,
    pool_MD: Rows,
    *,
    statistics: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    hidden: int,
    seed: int,
) -> Any:
    """A head trained by balanced logistic regression of labelled against pool."""
    generator = torch.Generator().manual_seed(seed)
    head = new_head(pool_MD.shape[1], hidden=hidden, generator=generator)
    head.set_statistics(*(torch.from_numpy(values) for values in statistics))
    optimizer = torch.optim.AdamW(head.parameters(), lr=_LR, weight_decay=_WEIGHT_DECAY)
    rng = np.random.default_rng([seed, 4])
    for step in range(_STEPS):
        for group in optimizer.param_groups:
            group["lr"] = _LR * lr_factor("cosine", step / _STEPS)
        drawn_P = rng.integers(len(positives_PD), size=_BATCH_POSITIVES)
        drawn_M = rng.integers(len(pool_MD), size=_BATCH_POOL)
        rows = np.concatenate([positives_PD[drawn_P], pool_MD[drawn_M]]).astype(np.float32)
        scores = head(torch.from_numpy(rows))
        loss = (
            softplus(-scores[:_BATCH_POSITIVES]).mean() + softplus(scores[_BATCH_POSITIVES:]).mean()
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return head
