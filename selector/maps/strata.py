"""How many images of each kind a map draws, where it cannot draw them all: pure functions.

A kind is a pair: which selections an image is in, and its class. A selection of one image in ten
thousand would vanish from a proportional sample, so each combination of selections gets the same
share as long as it has as many images, and within it classes are drawn in proportion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Stratum = tuple[int, int]
"""(bit i is set: in selection i; pseudo-label)."""

UIntArray = npt.NDArray[np.uint64]


def allocate(counts: Mapping[Stratum, int], points: int) -> dict[Stratum, int]:
    """Images to draw of each stratum: `points` in all, or every image where there are fewer.

    Args:
        counts: images of each stratum, all positive.
        points: at least 1.
    """
    members = {mask: 0 for mask, _ in sorted(counts)}
    for (mask, _), count in counts.items():
        members[mask] += count
    shares = fill_evenly(list(members.values()), points)
    drawn: dict[Stratum, int] = {}
    for mask, share in zip(members, shares, strict=True):
        classes = sorted(label for found, label in counts if found == mask)
        parts = fill_in_proportion([counts[mask, label] for label in classes], share)
        drawn.update({(mask, c): part for c, part in zip(classes, parts, strict=True)})
    return drawn


def fill_evenly(sizes: Sequence[int], total: int) -> list[int]:
    """`total` divided so that no group gets more than it has, and none less than another that
    could give more; of equal claims to a remainder the first.

    >>> fill_evenly([3, 100, 100], 53)
    [3, 25, 25]
    """
    filled = [0] * len(sizes)
    order = sorted(range(len(sizes)), key=lambda i: (sizes[i], i))
    left = min(total, sum(sizes))
    for done, i in enumerate(order):
        filled[i] = min(sizes[i], left // (len(order) - done))
        left -= filled[i]
    for i in range(len(sizes)):  # what the divisions left over
        extra = min(left, sizes[i] - filled[i])
        filled[i] += extra
        left -= extra
    return filled


def fill_in_proportion(sizes: Sequence[int], total: int) -> list[int]:
    """`total` divided in proportion to the sizes, by largest remainder; the first of equal ones.

    >>> fill_in_proportion([50, 30, 20], 5)
    [3, 1, 1]
    """
    whole = sum(sizes)
    total = min(total, whole)
    if not whole:
        return [0] * len(sizes)
    filled = [size * total // whole for size in sizes]
    remainders = [size * total % whole for size in sizes]
    order = sorted(range(len(sizes)), key=lambda i: (-remainders[i], i))
    for i in order[: total - sum(filled)]:
        filled[i] += 1
    return filled


def row_hash(row_ids: npt.NDArray[np.int64], seed: int) -> UIntArray:
    """(N,) a uniform 64-bit number for each row, the same on every machine (splitmix64)."""
    start = (seed + 1) * 0x9E3779B97F4A7C15 % 2**64
    mixed = row_ids.astype(np.uint64) + np.uint64(start)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
