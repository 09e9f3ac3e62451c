"""The numbers behind the figures: pure functions over numpy arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

BINS_PER_DECADE = 4
MAX_DECADES = 20
"""Of the histogram: what lies further left joins its first bin."""


@dataclass(frozen=True)
class LogBins:
    """Equal bins on a log10 axis, from `low` to `high` decades.

    Attributes:
        low, high: exponents of ten at the two ends, whole numbers.
        per_decade: bins in each decade.
    """

    low: int
    high: int
    per_decade: int = BINS_PER_DECADE

    @property
    def num_bins(self) -> int:
        return (self.high - self.low) * self.per_decade

    def range_of(self, index: int) -> tuple[float, float]:
        """Smallest and largest value of bin `index`."""
        step = 1 / self.per_decade
        return 10 ** (self.low + index * step), 10 ** (self.low + (index + 1) * step)


@dataclass(frozen=True)
class Histogram:
    """Images per bin of a score, (num_bins,) each; selected ones are in `pool` too."""

    bins: LogBins
    pool: IntArray
    selected: IntArray


def log_bins(smallest: float, largest: float) -> LogBins:
    """Bins of whole decades that cover smallest..largest, both positive.

    Raises:
        ValueError: not 0 < smallest <= largest, or not finite.
    """
    if not (0 < smallest <= largest < math.inf):
        raise ValueError(f"log_bins({smallest}, {largest}): expected 0 < smallest <= largest")
    high = math.floor(math.log10(largest)) + 1
    low = min(math.floor(math.log10(smallest)), high - 1)
    return LogBins(max(low, high - MAX_DECADES), high)


def bin_counts(index: IntArray, count: IntArray, *, num_bins: int) -> IntArray:
    """Counts (num_bins,) from (bin, count) pairs; bins beyond an end are added to that end."""
    counts = np.zeros(num_bins, dtype=np.int64)
    np.add.at(counts, np.clip(index, 0, num_bins - 1), count)
    return counts


def effective_classes(counts: IntArray) -> float:
    """How many equally large classes have the same entropy: exp H, in [1, C]; 0 without images.

    Args:
        counts: images per class, (C,).
    """
    present = counts[counts > 0].astype(np.float64)
    if not len(present):
        return 0.0
    share = present / present.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


@dataclass(frozen=True)
class ShownClasses:
    """The rows of a class table that has room for only some classes.

    Attributes:
        first, last: class indices before and after the gap; `last` is empty without a gap.
        num_between: classes in the gap.
        num_absent: classes left out because neither pool nor selection has an image of them.
    """

    first: IntArray
    last: IntArray
    num_between: int = 0
    num_absent: int = 0


def shown_classes(pool: IntArray, selected: IntArray, *, most: int) -> ShownClasses:
    """Which classes a table of at most `most` rows shows.

    All of them in order where they fit. Otherwise those that have images, ranked by their number
    in the selection (ties by the pool's, then by class), with a gap in the middle if need be.
    """
    classes = np.arange(len(pool), dtype=np.int64)
    if len(classes) <= most:
        return ShownClasses(classes, classes[:0])
    ranked = np.lexsort((classes, -pool, -selected))
    present = ranked[(pool + selected)[ranked] > 0]
    num_absent = len(classes) - len(present)
    if len(present) <= most:
        return ShownClasses(present, classes[:0], num_absent=num_absent)
    tail = most // 2
    return ShownClasses(
        first=present[: most - tail],
        last=present[len(present) - tail :],
        num_between=len(present) - most,
        num_absent=num_absent,
    )


def quantile_bands(
    values: FloatArray, *, num_bands: int, width: int
) -> list[tuple[float, IntArray]]:
    """Groups of rows around evenly spaced quantiles of a score, the lowest and highest included.

    Args:
        values: (N,) scores, no NaN.
        num_bands: how many quantiles, at least 2: 0, 1/(num_bands-1), ..., 1.
        width: rows in each band; fewer where bands would overlap.

    Returns:
        For each band its quantile in [0, 1] and the rows (ascending by value, then by position).
        No row is in two bands; with fewer rows than bands there are fewer bands.
    """
    if num_bands < 2 or width < 1:
        raise ValueError(f"num_bands {num_bands}, width {width}: expected at least 2 and 1")
    ranked = np.argsort(values, kind="stable")
    num_rows = len(ranked)
    num_bands = min(num_bands, num_rows)
    if num_bands < 2:
        return [(0.0, ranked)] if num_rows else []
    width = min(width, num_rows // num_bands)
    bands: list[tuple[float, IntArray]] = []
    for band in range(num_bands):
        quantile = band / (num_bands - 1)
        start = round(quantile * (num_rows - width))
        bands.append((quantile, ranked[start : start + width]))
    return bands


def axis_step(largest: float, *, most: int) -> float:
    """The smallest step of 1, 2 or 5 times a power of ten that needs at most `most` steps.

    >>> axis_step(87, most=5), axis_step(1200, most=4)
    (20.0, 500.0)
    """
    if largest <= 0:
        return 1.0
    rough = largest / most
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
