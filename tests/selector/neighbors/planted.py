"""Vectors with near-copies, and the rule of `greedy` spelled out one row at a time."""

from __future__ import annotations

import numpy as np

from selector.neighbors.unit import cosine


def planted(size: int, dim: int, *, seed: int = 0, share: float = 0.3) -> np.ndarray:
    """(size, dim) float16: blobs, and a share of near-copies of all lengths, shuffled."""
    rng = np.random.default_rng(seed)
    blobs = 3 * rng.standard_normal((5, dim))
    vectors = rng.standard_normal((size, dim)) + blobs[rng.integers(0, 5, size)]
    copies = int(size * share)
    source = rng.integers(0, size - copies, copies)
    noise = rng.standard_normal((copies, dim)) * np.linalg.norm(vectors[source], axis=1)[:, None]
    noise *= rng.uniform(0, 0.3, (copies, 1)) / dim**0.5
    vectors[size - copies :] = (vectors[source] + noise) * rng.uniform(0.5, 2, (copies, 1))
    return rng.permutation(vectors).astype(np.float16)


def keep_one_by_one(vectors: np.ndarray, ranked: np.ndarray, least: float) -> list[int]:
    """The kept rows, in order of rank."""
    kept: list[int] = []
    for row in ranked.tolist():
        one = np.repeat(vectors[row : row + 1], len(kept), axis=0)
        if not kept or cosine(one, vectors[kept]).max() < least:
            kept.append(row)
    return kept
