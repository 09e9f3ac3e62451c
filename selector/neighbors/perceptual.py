"""Perceptual duplicates: images whose perceptual hashes differ in few bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from selector.neighbors.greedy import IntArray, Outcome, keep_first
from selector.neighbors.hamming import HammingSpace, HashArray, distance, tells_looks
from selector.neighbors.workers import Workers

DEFAULT_RADIUS = 4


def find_perceptual(
    hashes: HashArray,
    ranked: IntArray,
    *,
    radius: int,
    pool: Workers,
    on_rows: Callable[[int], None] = lambda done: None,
) -> tuple[Outcome, npt.NDArray[np.int64]]:
    """Remove every image that has a kept one within `radius` bits. Exact.

    Args:
        hashes: (N,) uint64.
        ranked: (M,) numbers of hashes, the best first. Those that tell nothing (see
            `hamming.tells_looks`) must not be among them.

    Returns:
        What is kept and removed, and the distance (R,) of each removed one to the kept one.

    Raises:
        UsageError: a radius out of range.
    """
    assert tells_looks(hashes[ranked]).all()
    space = HammingSpace(hashes, radius=radius, pool=pool)
    outcome = keep_first(ranked, space, on_rows=on_rows)
    apart = distance(hashes[outcome.removed], hashes[outcome.kept_by]).astype(np.int64)
    assert (apart <= radius).all()
    return outcome, apart
