from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from selector.pu.pool_rows import Rows
from selector.pu.settings import PUSettings, make_settings
from selector.pu.train_head import (
    HeadFit,
    HeldOut,
    head_scores,
    train_head,
)
from tests.support.pu import DIM, draw

SHARE, GAP = 0.3, 5.0


class Unlabelled:
    """A pool in memory."""

    dim = DIM
    num_rows = 2000

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.positive_N = rng.random(self.num_rows) < SHARE
        self.rows_ND = draw(rng, self.positive_N, gap=GAP)

    def batches(self, size: int, *, seed: int) -> Iterator[Rows]:
        rng = np.random.default_rng(seed)
        while True:
            yield self.rows_ND[rng.integers(self.num_rows, size=size)]


POOL = Unlabelled()


def fit(seed: int = 0, **changes: Any) -> HeadFit:
    rng = np.random.default_rng(1)
    fresh = rng.random(1000) < SHARE
    defaults = {"steps": 150, "lr": 0.01, "batch_pool": 256, "batch_positives": 64}
    settings: PUSettings = make_settings("default", defaults | changes)
    rows = POOL.rows_ND.astype(np.float32)
    return train_head(
        POOL,
        draw(rng, np.ones(160, bool), gap=GAP),
        HeldOut(draw(rng, np.ones(100, bool), gap=GAP), draw(rng, fresh, gap=GAP)),
        statistics=(rows.mean(axis=0), rows.std(axis=0)),
        prior=SHARE,
        settings=settings,
        seed=seed,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"surrogate": "sigmoid"},
        {"method": "upu"},
        {"optimizer": "sgd", "lr": 0.1, "weight_decay": 5e-3, "schedule": "step"},
    ],
)
def test_positives_score_above_0_and_the_others_below(changes: dict[str, Any]) -> None:
    found = fit(**changes)
    taken = head_scores(found.head, POOL.rows_ND) > 0
    assert (taken == POOL.positive_N).mean() > 0.93
    last = found.curve[-1]
    assert last["held_out_tpr"] > 0.8
    assert last["held_out_auc"] > 0.8
    assert (
        last["risk"] == pytest.approx(last["positive_part"] + max(0, last["bracket"]), abs=0.05)
        or changes.get("method") == "upu"
    )


def test_the_same_seed_gives_the_same_weights() -> None:
    one, two, other = (fit(seed, steps=20).head.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert not torch.equal(one["linear.weight"], other["linear.weight"])


def test_it_stops_where_unseen_rows_stop_gaining_and_keeps_those_weights() -> None:
    found = fit(steps=4000, check_every=10, patience=3)
    assert found.curve[-1]["step"] < 4000
    risks = {entry["step"]: entry["held_out_risk"] for entry in found.curve}
    assert risks[found.kept_step] == min(risks.values())
    assert found.curve[-1]["step"] == found.kept_step + 30
    assert fit(steps=30, check_every=10, patience=None).kept_step == 30


def test_a_batch_carries_no_more_positives_than_there_are() -> None:
    assert fit(steps=1, batch_positives=1000).batch_positives == 160
