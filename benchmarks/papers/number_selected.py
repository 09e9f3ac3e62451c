"""Accuracy against the number of images selected, DFND with a quota against random."""

from __future__ import annotations

from benchmarks.papers.arm import Arm, Table
from benchmarks.papers.best import QUOTA
from benchmarks.papers.pu import RANDOM

SHARES = (0.1, 0.25, 0.5, 1.0, 2.0)
"""Of the track's usual number."""

TABLE = Table(
    "number_selected",
    "Accuracy against the number of images selected",
    tuple(
        Arm(f"{kind}_{share:g}", f"{kind}, {share:g} x n", recipe=recipe, share=share)
        for kind, recipe in (("quota", QUOTA), ("random", RANDOM))
        for share in SHARES
    ),
)
