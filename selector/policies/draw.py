"""Random choice that is a property of the row: the same rows whatever the order and the cuts."""

from __future__ import annotations

import numpy as np

from selector.policies.columns import FloatArray, HashArray, IntArray


def random_order(row_id: IntArray, *, seed: int) -> FloatArray:
    """A uniform number in [0, 1) per row, from a hash of row_id and seed.

    Taking the n smallest of them draws n rows at random without replacement; a larger n with
    the same seed draws a superset.

    Args:
        row_id: (N,) int64.
        seed: 0 .. 2^64 - 1.

    Returns:
        (N,) float64 with 53 random bits.
    """
    start = _mix(np.array([seed], dtype=np.uint64) ^ np.uint64(0x6A09E667F3BCC908))
    bits = _mix(_mix(row_id.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)) ^ start)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(x: HashArray) -> HashArray:
    """The finalizer of SplitMix64 (Steele, Lea, Flood 2014): each bit in moves each bit out.

    Arrays of uint64 wrap around silently, which is what the hash wants.
    """
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
