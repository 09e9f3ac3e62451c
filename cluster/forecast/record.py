"""A forecast, kept in the run until there is a fact to stand beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from cluster.forecast.estimate import Estimate, Interval
from cluster.metrics import STAGES, Throughput
from selector.tables.layout import RunLayout
from shards import atomic, storage
from shards.errors import CoursepackError

STARTUP_SPREAD = 1.5
"""A second start of the workers may take this many times more or less."""

SAME_WORK = 0.02
"""A call whose images lie within the forecast's interval, give or take 2 %, did that work."""


@dataclass(frozen=True)
class Forecast:
    """What a call to `score` with the same arguments is expected to take.

    Attributes:
        shards: Shards to do.
        startup_s: Seconds until the workers are ready, as measured.
        estimate: Images, time, bytes.
        bound_by: What the workers waited for most, as in `cluster.metrics.STAGES`.
        stage_share: Share of worker time by stage.
        actors, threads, device, batch_size: How it would run.
        probed_actors: Workers that were probed at once; with more of them the storage has more to
            deliver, which a probe cannot show.
        probe_s: Seconds that probing took.
        unit_hours: Hours of GPUs, or of cores where there are none.
        cost: `unit_hours` times the price, None without one.
        warnings: What a person should know.
    """

    run: str
    teacher: str
    shards: int
    startup_s: float
    estimate: Estimate
    bound_by: str
    stage_share: dict[str, float]
    executor: str
    actors: int
    threads: int
    device: str
    batch_size: int
    probed_actors: int
    probe_s: float
    unit: str
    unit_hours: Interval
    cost: Interval | None
    at: str
    warnings: list[str] = field(default_factory=list)

    @property
    def wall_s(self) -> Interval:
        """Seconds from the call to its end, start-up included."""
        return total_wall(self.startup_s, self.estimate.work_s)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"wall_s": asdict(self.wall_s)}


def total_wall(startup_s: float, work_s: Interval) -> Interval:
    """Start-up and work; the start-up was seen once, so its own interval is wide."""
    return Interval(
        startup_s + work_s.value,
        startup_s / STARTUP_SPREAD + work_s.low,
        startup_s * STARTUP_SPREAD + work_s.high,
    )


def write_forecast(layout: RunLayout, forecast: Forecast) -> None:
    """Keep a forecast in the run, which need not exist yet; an older one is replaced."""
    content = json.dumps(forecast.to_dict(), indent=1, sort_keys=True)
    atomic.write_bytes(_uri(layout), content.encode() + b"\n")


def beside_fact(layout: RunLayout, speed: Throughput) -> dict[str, Any] | None:
    """The kept forecast and what came of it, by name; None where there is no forecast or no work.

    Returns:
        `{name: {"forecast": ..., "fact": ..., "ratio": fact / forecast}}` for wall_s, images,
        images_per_s; `same_work` says whether the call did what was forecast with as many workers,
        else only the rates can be compared.
    """
    if not speed.images or not storage.exists(_uri(layout)):
        return None
    try:
        kept = json.loads(storage.read_bytes(_uri(layout)))
        told = kept["estimate"]
        expected = {
            "wall_s": kept["wall_s"]["value"],
            "images": told["images"]["value"],
            "images_per_s": told["images"]["value"] / kept["wall_s"]["value"],
        }
        interval = [kept["wall_s"]["low"], kept["wall_s"]["high"]]
        images = (told["images"]["low"], told["images"]["high"])
        actors = kept["actors"]
    except (ValueError, KeyError, TypeError, ZeroDivisionError, CoursepackError):
        return None  # only a note beside the report: a damaged one must not end a run that is done
    facts = {
        "wall_s": speed.wall_s,
        "images": float(speed.images),
        "images_per_s": speed.images_per_s,
    }
    pairs = {
        name: {
            "forecast": expected[name],
            "fact": facts[name],
            "ratio": facts[name] / expected[name],
        }
        for name in facts
    }
    slack = 1 + SAME_WORK
    same = images[0] / slack <= speed.images <= images[1] * slack
    same = same and actors == speed.workers
    return {**pairs, "wall_s_interval": interval, "same_work": same, "at": kept.get("at", "")}


def fact_lines(compared: dict[str, Any]) -> list[str]:
    """The forecast beside the fact, for a reader."""
    wall, rate = compared["wall_s"], compared["images_per_s"]
    if not compared["same_work"]:
        return [
            f"forecast: {rate['forecast']:,.0f} images/s, fact {rate['fact']:,.0f} "
            "(this call did other work, or with other workers, than planned)"
        ]
    low, high = compared["wall_s_interval"]
    return [
        f"forecast: {wall['forecast']:,.1f} s ({low:,.1f} to {high:,.1f}), fact "
        f"{wall['fact']:,.1f} s ({wall['ratio'] - 1:+.0%}); "
        f"{rate['forecast']:,.0f} images/s, fact {rate['fact']:,.0f}"
    ]


def bound_text(bound_by: str) -> str:
    """The stage that bounds a run, in words."""
    return STAGES.get(bound_by, "nothing measured")


def _uri(layout: RunLayout) -> str:
    return storage.join(layout.report_dir, "forecast.json")
