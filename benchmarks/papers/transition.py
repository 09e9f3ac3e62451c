"""DFND's ablation of the transition matrix Q, on its own selection."""

from __future__ import annotations

from typing import Any

from benchmarks.papers.arm import NOISY, Arm, Table
from benchmarks.papers.best import QUOTA


def noisy(**transition: Any) -> dict[str, Any]:
    return {**NOISY, "transition": transition}


TABLE = Table(
    "transition",
    "DFND: ablation of the transition matrix Q",
    (
        Arm("q_none", "no Q", recipe=QUOTA, objective=noisy(mode="none")),
        Arm(
            "q_identity",
            "starts as the identity, all learned",
            recipe=QUOTA,
            objective=noisy(mode="learned", init="identity"),
        ),
        Arm(
            "q_frozen",
            "estimated from the pool, frozen",
            recipe=QUOTA,
            objective=noisy(mode="frozen", init="pool_diagonal"),
        ),
        Arm(
            "q_off_diagonal",
            "estimated, off-diagonal learned",
            recipe=QUOTA,
            objective=noisy(mode="off_diagonal", init="pool_diagonal"),
        ),
        Arm(
            "q_learned",
            "estimated, all learned",
            recipe=QUOTA,
            objective=noisy(mode="learned", init="pool_diagonal"),
        ),
        Arm(
            "q_full",
            "the whole matrix estimated, all learned",
            recipe=QUOTA,
            objective=noisy(mode="learned", init="pool_full"),
        ),
    ),
)
