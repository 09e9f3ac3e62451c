"""What a bench found: limits, the engine, efficiency, cost; and two benches side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.speed.figures import Figure, is_faster, is_slower, lowest, ratios, shared_limit
from shards import storage
from shards.errors import UsageError

FORMAT = 1

NAMES = {
    "storage": "reading the bytes",
    "tar": "walking the tars",
    "decode": "decoding and resizing",
    "model": "the model",
    "compute": "decoding + model, which share the cores",
    "copies": "copies to the GPU",
    "write": "writing the tables",
}
"""Limit -> what a reader calls it."""


@dataclass(frozen=True)
class BenchReport:
    """Rates of one machine, one pool and one teacher, in images per second.

    Attributes:
        workload: pool, images (of each worker), bytes an image, teacher, runtime, batch size, and
            to what it was halved where the device's memory was full (else None), workers (absent =
            1), threads of each, device, views (absent = one).
        limits: of each stage if it were alone, as named in NAMES.
        engine: all of it together: the same images scored into tables.
        stamp: when, hardware, versions, commit.
        price_per_hour: of this machine; None = unknown.
    """

    workload: dict[str, Any]
    limits: dict[str, Figure]
    engine: Figure
    stamp: dict[str, Any]
    price_per_hour: float | None = None

    @property
    def bound_by(self) -> str:
        """The limit that nothing on this machine can exceed."""
        return lowest(self._binding)[0]

    @property
    def limit(self) -> Figure:
        """Its images/s."""
        return lowest(self._binding)[1]

    @property
    def efficiency(self) -> Figure:
        """Engine / limit, round by round."""
        return ratios(self.engine, self.limit)

    @property
    def gpu_busy(self) -> float | None:
        """Share of the time in which the GPU runs the model; None without one."""
        if "copies" not in self.limits:
            return None
        return min(1.0, self.engine.median / self.limits["model"].median)

    @property
    def cost_per_million(self) -> float | None:
        """Of a million images at the engine's rate."""
        if self.price_per_hour is None:
            return None
        return self.price_per_hour * 1e6 / self.engine.median / 3600

    @property
    def _binding(self) -> dict[str, Figure]:
        # Where two stages share the cores, neither alone says what is possible.
        shared = {"decode", "model"} if "compute" in self.limits else set()
        return {name: one for name, one in self.limits.items() if name not in shared}

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "workload": self.workload,
            "limits": {name: one.to_dict() for name, one in self.limits.items()},
            "engine": self.engine.to_dict(),
            "bound_by": self.bound_by,
            "efficiency": self.efficiency.to_dict(),
            "gpu_busy": self.gpu_busy,
            "cost_per_million": self.cost_per_million,
            "price_per_hour": self.price_per_hour,
            **self.stamp,
        }

    def lines(self) -> Iterator[str]:
        """The page for a terminal."""
        told = self.workload
        named = told.get("views", "one")
        views = "" if named == "one" else f"views {named}, "
        decode = "decode fast, " if told.get("decode") == "fast" else ""
        yield (
            f"{told['images']:,} images of {told['bytes_per_image'] / 1e3:,.0f} kB, {decode}"
            f"{told['teacher']} with {told['runtime']} on {told['device']}, {views}batch "
            f"{told['batch_size']}, {_counted(told.get('workers', 1), 'worker')} of "
            f"{_counted(told['threads'], 'thread')}"
        )
        if told.get("halved_to"):
            yield (
                f"  the device's memory does not hold that: halved to {told['halved_to']:,}; give "
                f"--batch-size {told['halved_to']}"
            )
        yield f"limits of this machine, images/s (95 % interval of {told['rounds']} rounds):"
        for name, one in self.limits.items():
            low, high = one.interval
            mark = "   <- bounds" if name == self.bound_by else ""
            yield f"  {NAMES[name]:<42} {one.median:10,.0f}  ({low:,.0f} to {high:,.0f}){mark}"
        low, high = self.engine.interval
        yield f"  {'the engine':<42} {self.engine.median:10,.0f}  ({low:,.0f} to {high:,.0f})"
        low, high = self.efficiency.interval
        yield f"efficiency {self.efficiency.median:.1%} of the limit ({low:.1%} to {high:.1%})"
        if self.gpu_busy is not None:
            yield f"GPU busy   {self.gpu_busy:.0%} of the time"
        if self.cost_per_million is not None:
            yield f"cost       {self.cost_per_million:.3g} per million images"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s'[: number != 1]}"


@dataclass(frozen=True)
class Change:
    """One rate, then and now.

    Attributes:
        verdict: slower | faster | same: what exceeds the noise of both.
    """

    name: str
    before: Figure
    now: Figure
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """Two reports side by side.

    Attributes:
        differences: of hardware or workload: why the rates may not compare.
    """

    changes: tuple[Change, ...]
    differences: tuple[str, ...] = field(default=())

    @property
    def regressions(self) -> tuple[Change, ...]:
        """What has become slower beyond the noise."""
        return tuple(change for change in self.changes if change.verdict == "slower")

    def to_dict(self) -> dict[str, Any]:
        return {
            "differences": list(self.differences),
            "changes": [
                {
                    "name": one.name,
                    "before": one.before.median,
                    "now": one.now.median,
                    "ratio": one.now.median / one.before.median,
                    "verdict": one.verdict,
                }
                for one in self.changes
            ],
        }

    def lines(self) -> Iterator[str]:
        for difference in self.differences:
            yield f"not the same: {difference}"
        for one in self.changes:
            yield (
                f"  {one.name:<42} {one.before.median:10,.0f} -> {one.now.median:10,.0f}  "
                f"{one.now.median / one.before.median:6.2f} x  {one.verdict}"
            )


def compare(now: BenchReport, before: BenchReport) -> Comparison:
    """What became slower or faster, beyond the noise of both."""
    pairs = [("the engine", now.engine, before.engine)]
    pairs += [
        (NAMES[name], one, before.limits[name])
        for name, one in now.limits.items()
        if name in before.limits
    ]
    changes = []
    for name, found, old in pairs:
        verdict = "slower" if is_slower(found, old) else "faster" if is_faster(found, old) else ""
        changes.append(Change(name, old, found, verdict or "same"))
    return Comparison(tuple(changes), tuple(_differences(now, before)))


def read_report(uri: str) -> BenchReport:
    """A report that `coursepack bench` wrote.

    Raises:
        UsageError: it is none, or of another version.
        StorageError: it cannot be read.
    """
    try:
        content = json.loads(storage.read_bytes(uri))
        if content["format"] != FORMAT:
            raise UsageError(
                f"{uri} has format {content['format']}, this version reads {FORMAT}; bench again"
            )
        return BenchReport(
            workload={"decode": "exact"} | content["workload"],  # older ones knew no other
            limits={name: Figure.from_dict(one) for name, one in content["limits"].items()},
            engine=Figure.from_dict(content["engine"]),
            stamp={name: content[name] for name in ("at", "hardware", "versions", "commit")},
            price_per_hour=content["price_per_hour"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{uri} is no report of `coursepack bench` ({error}); give its bench.json"
        ) from error


def make_limits(
    rates: Mapping[str, Figure], *, decode_cpu_s: Figure, model_cpu_s: Figure, cores: int, gpu: bool
) -> dict[str, Figure]:
    """All limits in the order of NAMES; without a GPU also what decoding and model can do together.

    Args:
        rates: by the clock.
        decode_cpu_s, model_cpu_s: processor seconds an image; 0 = the rate by the clock holds.
        cores: that the threads can use at once.
    """
    limits = dict(rates)
    if all(decode_cpu_s.values):
        limits["decode"] = shared_limit(cores, decode_cpu_s)
    if not gpu:
        limits["model"] = shared_limit(cores, model_cpu_s)
        limits["compute"] = shared_limit(cores, decode_cpu_s, model_cpu_s)
    return {name: limits[name] for name in NAMES if name in limits}


def _differences(now: BenchReport, before: BenchReport) -> Iterator[str]:
    for part in ("processor", "cores", "gpus"):
        found, old = now.stamp["hardware"].get(part), before.stamp["hardware"].get(part)
        if found != old:
            yield f"{part}: {old} then, {found} now"
    defaults = {"views": "one", "workers": 1}  # of reports that do not tell them
    found, old = ({**defaults, **one.workload} for one in (now, before))
    for name in sorted(found.keys() & old.keys() - {"rounds", "pool"}):
        if found[name] != old[name]:
            yield f"{name}: {old[name]} then, {found[name]} now"
