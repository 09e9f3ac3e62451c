"""Figures of a bench: repeated measurements, their medians and intervals, limits. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import binom

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Figure:
    """One quantity, measured several times.

    Attributes:
        values: in the order of the rounds.
    """

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def interval(self) -> tuple[float, float]:
        """Holds the median with 95 % confidence; see `median_interval`."""
        return median_interval(self.values)

    def to_dict(self) -> dict[str, Any]:
        low, high = self.interval
        return {"median": self.median, "low": low, "high": high, "values": list(self.values)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Figure:
        return cls(tuple(float(value) for value in content["values"]))


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """The narrowest symmetric pair of order statistics that holds the median with 95 %.

    No assumption on the distribution of the noise but that rounds are independent. Fewer than six
    values hold no such interval: then it is the smallest and the largest.
    """
    ordered, num = sorted(values), len(values)
    inner = 0
    while 2 * binom.cdf(inner + 1, num, 0.5) <= 1 - CONFIDENCE:
        inner += 1
    return ordered[inner], ordered[num - 1 - inner]


def ratios(above: Figure, below: Figure) -> Figure:
    """Round by round: what disturbs a round disturbs both."""
    return Figure(tuple(a / b for a, b in zip(above.values, below.values, strict=True)))


def shared_limit(cores: int, *seconds: Figure) -> Figure:
    """Images/s of `cores` that are shared by stages of so many CPU seconds an image, by round."""
    return Figure(tuple(cores / sum(one) for one in zip(*(f.values for f in seconds), strict=True)))


def lowest(limits: Mapping[str, Figure]) -> tuple[str, Figure]:
    """The limit that binds, by its median, with its name."""
    name = min(limits, key=lambda one: limits[one].median)
    return name, limits[name]


def is_slower(now: Figure, before: Figure) -> bool:
    """Whether a rate has fallen by more than the noise of both measurements."""
    return now.interval[1] < before.interval[0]


def is_faster(now: Figure, before: Figure) -> bool:
    """Whether a rate has risen by more than the noise of both measurements."""
    return now.interval[0] > before.interval[1]
