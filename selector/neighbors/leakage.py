"""Images of the pool that are near an evaluation set: training on them would be cheating.

Here nothing is greedy: each image of the pool is compared with the evaluation set, in which every
image counts, and the nearest one within the radius is named. The features of the evaluation set
are held in memory as float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from selector.neighbors.cosine import CosineSpace
from selector.neighbors.duplicate_table import Grade, Removed
from selector.neighbors.greedy import IntArray, Space
from selector.neighbors.hamming import HammingSpace, HashArray, tells_looks
from selector.neighbors.kept_index import FlatKept
from selector.neighbors.unit import Half, cosine
from selector.neighbors.workers import Workers, ranges
from selector.policies.columns import HashArray as HashHalves

_BLOCK_ROWS = 16_384


@dataclass(frozen=True)
class ImageSet:
    """N images and what they are compared by.

    Attributes:
        row_ids: (N,) names of the images in their own set.
        hash_high, hash_low: (N,) halves of the content hash.
        phashes: (N,) 0 where there is none.
        numbers, vectors: (V,) which image each vector is of, -1 for none; (V, D), may be mapped.
    """

    row_ids: IntArray
    hash_high: HashHalves
    hash_low: HashHalves
    phashes: HashArray
    numbers: IntArray
    vectors: Half


def find_leakage(
    pool_set: ImageSet,
    evaluation: ImageSet,
    *,
    grades: Sequence[Grade],
    epsilon: float,
    radius: int,
    pool: Workers,
    on_share: Callable[[str, float], None] = lambda doing, share: None,
) -> Removed:
    """The pool's images that an evaluation image is near to, by the strictest grade that tells so.

    Exact: every image of the pool is compared with every image of the evaluation set, or with
    those that can be within the radius.

    Returns:
        `duplicate_of` names rows of the evaluation set; values are grade and similarity (of
        semantic matches alone).
    """
    size = len(pool_set.row_ids)
    match = np.full(size, -1, np.int64)
    grade = np.full(size, "", dtype="U10")
    similarity = np.full(size, np.nan, np.float32)
    if "exact" in grades:
        match = _same_bytes(pool_set, evaluation)
        grade[match >= 0] = "exact"
    if "perceptual" in grades:
        those = np.flatnonzero(tells_looks(evaluation.phashes))
        space: Space = HammingSpace(evaluation.phashes, radius=radius, pool=pool)
        todo = np.flatnonzero((match < 0) & tells_looks(pool_set.phashes))
        found = _nearest(space, evaluation.phashes[those], pool_set.phashes, todo, on_share)
        match[todo] = np.where(found >= 0, those[np.maximum(found, 0)] if len(those) else -1, -1)
        grade[todo[found >= 0]] = "perceptual"
    if "semantic" in grades:
        dim = pool_set.vectors.shape[1]
        index = FlatKept(dim, min_similarity=1 - epsilon)
        space = CosineSpace(evaluation.vectors, index, min_similarity=1 - epsilon, pool=pool)
        open_ = (pool_set.numbers >= 0) & (match[np.maximum(pool_set.numbers, 0)] < 0)
        todo = np.flatnonzero(open_)
        found = _nearest(space, evaluation.vectors, pool_set.vectors, todo, on_share)
        hit = found >= 0
        rows = pool_set.numbers[todo[hit]]
        match[rows] = evaluation.numbers[found[hit]]
        grade[rows] = "semantic"
        similarity[rows] = _similar(pool_set.vectors, todo[hit], evaluation.vectors, found[hit])
    hit = match >= 0
    return Removed(
        pool_set.row_ids[hit],
        evaluation.row_ids[match[hit]],
        {"grade": grade[hit].astype(object), "similarity": similarity[hit]},
    )


def _nearest(
    space: Space,
    evaluation: np.ndarray,
    candidates: np.ndarray,
    todo: IntArray,
    on_share: Callable[[str, float], None],
) -> IntArray:
    """(n,) number of the nearest evaluation entry within the radius of candidates[todo], or -1."""
    if not len(evaluation):
        return np.full(len(todo), -1, np.int64)
    space.keep(evaluation, np.arange(len(evaluation)))
    found = [np.empty(0, np.int64)]
    for rows in ranges(len(todo), _BLOCK_ROWS):
        found.append(space.find_kept(candidates[todo[rows]]))
        on_share("comparing images", rows.stop / len(todo))
    return np.concatenate(found)


def _same_bytes(pool_set: ImageSet, evaluation: ImageSet) -> IntArray:
    """(N,) number of an evaluation image of the same content hash, the first of several, or -1."""
    known: dict[tuple[int, int], int] = {}
    pairs = zip(evaluation.hash_high.tolist(), evaluation.hash_low.tolist(), strict=True)
    for number, pair in enumerate(pairs):
        known.setdefault(pair, number)
    # Few share the first half; only those are looked up one by one.
    maybe = np.flatnonzero(np.isin(pool_set.hash_high, evaluation.hash_high))
    match = np.full(len(pool_set.row_ids), -1, np.int64)
    highs, lows = pool_set.hash_high[maybe].tolist(), pool_set.hash_low[maybe].tolist()
    match[maybe] = [known.get(pair, -1) for pair in zip(highs, lows, strict=True)]
    return match


def _similar(a: Half, rows_a: IntArray, b: Half, rows_b: IntArray) -> np.ndarray:
    parts = [np.empty(0)]
    for part in ranges(len(rows_a), 65_536):
        parts.append(cosine(a[rows_a[part]], b[rows_b[part]]))
    return np.concatenate(parts).astype(np.float32)
