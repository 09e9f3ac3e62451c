"""From probes to a forecast: how many images, how long, how much. Pure.

A part of x images, padded to whole batches, takes a + c x seconds of one worker: a is what opening,
writing and marking a part cost, c what an image costs. Both are fitted to the probed ranges.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, exp, log, sqrt
from statistics import fmean, stdev

LEAST_SPREAD = 1.5
"""Ranges whose sizes differ by less do not tell a from c; then a = 0."""

MACHINE_SPREAD = 0.10
"""Machines do not repeat themselves better than this; no interval is narrower."""

ALONE_SPREAD = 0.30
"""What one probed shard may differ from all others, where nothing tells."""

_T90 = (6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.89, 1.86, 1.83, 1.81)
"""Student's t for a two-sided 90 % interval with 1, 2, ... degrees of freedom."""


@dataclass(frozen=True)
class Probe:
    """What one worker measured.

    Attributes:
        points: (images padded to whole batches, seconds) of each range.
        images, file_bytes: Of all ranges: images, and bytes of shard file that they took.
        written_bytes: Output of all ranges.
    """

    points: tuple[tuple[float, float], ...]
    images: float
    file_bytes: float
    written_bytes: float


@dataclass(frozen=True)
class Interval:
    """An estimate with a 90 % interval."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> Interval:
        return Interval(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Estimate:
    """What the work will take on `actors` workers.

    Attributes:
        images: Images in the shards to do.
        work_s: Seconds of wall clock, from the moment when the workers are ready.
        images_per_s: Of all workers together, over `work_s`.
        read_bytes, written_bytes: Input and output.
        seconds_per_image, seconds_per_part: c and a, of one worker.
    """

    images: Interval
    work_s: Interval
    images_per_s: float
    read_bytes: int
    written_bytes: Interval
    seconds_per_image: float
    seconds_per_part: float


def read_probe(counters: Mapping[str, float]) -> Probe:
    """A worker's counters (see `ProbeWorker.run`) as a `Probe`."""
    numbers = range(int(counters.get("points", 0)))
    return Probe(
        points=tuple((counters[f"x{number}"], counters[f"t{number}"]) for number in numbers),
        images=counters.get("measured_images", 0.0),
        file_bytes=counters.get("measured_bytes", 0.0),
        written_bytes=counters.get("written_bytes", 0.0),
    )


def estimate(
    probes: Sequence[Probe], shard_bytes: Sequence[int], *, actors: int, batch_size: int
) -> Estimate:
    """What shards of these sizes will take.

    Args:
        probes: At least one with points and images.
        shard_bytes: Size of each shard to do.
    """
    useful = [probe for probe in probes if probe.points and probe.images]
    per_part, per_image = fit([point for probe in useful for point in probe.points])
    bytes_per_image = sum(p.file_bytes for p in useful) / sum(p.images for p in useful)
    size_spread = _relative_spread([p.file_bytes / p.images for p in useful], bytes_per_image)
    total = sum(shard_bytes)
    images = _interval(total / bytes_per_image, size_spread)
    parts = [
        per_part + per_image * batch_size * ceil(size / bytes_per_image / batch_size)
        for size in shard_bytes
    ]
    speed_spread = _speed_spread(useful, per_part, per_image)
    spread = sqrt(size_spread**2 + speed_spread**2 + (MACHINE_SPREAD / 1.645) ** 2)
    work = _interval(makespan(parts, actors), spread)
    written = sum(p.written_bytes for p in useful) / sum(p.images for p in useful)
    return Estimate(
        images=images,
        work_s=work,
        images_per_s=images.value / work.value if work.value else 0.0,
        read_bytes=total,
        written_bytes=images.scaled(written),
        seconds_per_image=per_image,
        seconds_per_part=per_part,
    )


def fit(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(a, c) of t = a + c x with the smallest relative errors; neither is negative."""
    sizes = [x for x, _ in points]
    mean_rate = sum(t for _, t in points) / sum(sizes)
    if max(sizes) < LEAST_SPREAD * min(sizes):
        return 0.0, mean_rate
    # Relative errors: divide t = a + c x by t, and solve the normal equations of 1 = a u + c v.
    rows = [(1 / t, x / t) for x, t in points]
    uu, uv = sum(u * u for u, _ in rows), sum(u * v for u, v in rows)
    vv, u1, v1 = sum(v * v for _, v in rows), sum(u for u, _ in rows), sum(v for _, v in rows)
    determinant = uu * vv - uv * uv
    if determinant <= 0:
        return 0.0, mean_rate
    a, c = (u1 * vv - v1 * uv) / determinant, (uu * v1 - uv * u1) / determinant
    if a < 0:
        return 0.0, v1 / vv
    if c <= 0:
        return 0.0, mean_rate
    return a, c


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Wall clock of parts of these lengths on `workers` workers, the longest begun first."""
    free_at = [0.0] * max(1, min(workers, len(seconds)))
    for length in sorted(seconds, reverse=True):
        heapq.heapreplace(free_at, free_at[0] + length)
    return max(free_at)


def _speed_spread(probes: Sequence[Probe], per_part: float, per_image: float) -> float:
    """Standard error of the speed, relative: between workers, or between one worker's ranges."""

    def slowness(points: Sequence[tuple[float, float]]) -> float:
        return sum(t for _, t in points) / sum(per_part + per_image * x for x, _ in points)

    if len(probes) > 1:
        return _relative_spread([slowness(probe.points) for probe in probes], 1.0)
    return _relative_spread([slowness([point]) for point in probes[0].points], 1.0)


def _relative_spread(values: Sequence[float], mean: float) -> float:
    """Standard error of the mean over the mean, widened for few values to a normal one's."""
    if len(values) < 2:
        return ALONE_SPREAD / 1.645
    degrees = min(len(values) - 1, len(_T90))
    return _T90[degrees - 1] / 1.645 * stdev(values) / sqrt(len(values)) / (mean or fmean(values))


def _interval(value: float, spread: float) -> Interval:
    """90 %: a factor either way, for rates and sizes are off by factors."""
    if value <= 0:
        return Interval(0.0, 0.0, 0.0)
    factor = exp(1.645 * min(spread, log(10)))
    return Interval(value, value / factor, value * factor)
