"""`coursepack plan`: what scoring a pool will take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.cli.options import (
    Actors,
    Address,
    AllowCode,
    AsJson,
    BatchSize,
    Debug,
    Decode,
    Device,
    ExecutorName,
    Overrides,
    PoolOrConfig,
    Runtime,
    ScoreFile,
    Teacher,
    Views,
    Weights,
    WorkerThreads,
    example,
)
from cluster.cli.output import command
from cluster.cli.units import byte_text, duration, plural

if TYPE_CHECKING:
    from cluster.forecast.estimate import Interval
    from cluster.forecast.record import Forecast

app = typer.Typer()


@app.command(
    epilog=example(
        "coursepack plan pool/ --teacher he/resnet20 --weights t.safetensors --out run/",
        "coursepack plan s3://bucket/pool --config score.yaml --address auto --price-per-hour 2.5",
    )
)
def plan(
    pool: PoolOrConfig = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="RUN", help="Where score will write; keeps the forecast."),
    ] = None,
    teacher: Teacher = None,
    weights: Weights = None,
    executor: ExecutorName = None,
    address: Address = None,
    actors: Actors = None,
    threads: WorkerThreads = None,
    batch_size: BatchSize = None,
    device: Device = None,
    seconds: Annotated[
        float,
        typer.Option("--seconds", metavar="S", min=0.1, help="How long each worker is probed."),
    ] = 10.0,
    price_per_hour: Annotated[
        float | None,
        typer.Option(
            "--price-per-hour", metavar="X", min=0, help="Of one GPU, or of one core without any."
        ),
    ] = None,
    runtime: Runtime = None,
    views: Views = None,
    decode: Decode = None,
    config: ScoreFile = None,
    assignments: Overrides = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Forecast a score: what bounds it, images/s, time, hours, bytes, cost.

    Scores ranges of a few shards for real, where the run will be; what they write is removed.

    Refuses what cannot work: no room for a worker, a batch too large for a GPU, a disk too small.
    """
    with command("plan", as_json=as_json, debug=debug) as output:
        from cluster.config import load_config, overrides_of
        from cluster.score_config import ScoreConfig
        from cluster.verbs.plan import plan as run

        given: dict[str, Any] = {
            "pool": pool or None,
            "out": out,
            "teacher.name": teacher,
            "teacher.weights": weights,
            "teacher.allow_code": allow_code or None,
            "execution.executor": executor,
            "execution.address": address,
            "execution.actors": actors,
            "execution.threads": threads,
            "execution.batch_size": batch_size,
            "execution.device": device,
            "runtime": runtime,
            "views": views,
            "preprocessing.decode": decode,
        }
        overrides = overrides_of(assignments, given)
        nowhere = out is None and config is None and "out" not in overrides
        chosen = load_config(
            ScoreConfig, config or {}, overrides={"out": "", **overrides} if nowhere else overrides
        )
        with output.progress() as on_progress:
            forecast = run(
                chosen.pool,
                spec=chosen.spec(),
                out=chosen.out or None,
                execution=chosen.execution.to_config(),
                seconds=seconds,
                price_per_hour=price_per_hour,
                on_progress=on_progress,
            )
        for warning in forecast.warnings:
            output.say(f"warning: {warning}")
        output.finish(forecast.to_dict(), text=list(lines(forecast)))


def lines(forecast: Forecast) -> Iterator[str]:
    """The page for a reader; what stands in brackets is a 90 % interval."""
    work, wall = forecast.estimate, forecast.wall_s
    from cluster.forecast.record import bound_text

    share = forecast.stage_share.get(forecast.bound_by, 0.0)
    workers = plural(forecast.actors, f"{forecast.executor} worker")
    threads = plural(forecast.threads, "thread")
    yield f"bounded by   {bound_text(forecast.bound_by)} ({share:.0%} of worker time)"
    yield f"on           {workers}, {threads} each, {forecast.device}, batch {forecast.batch_size}"
    yield (
        f"images       {_count(work.images)} in {plural(forecast.shards, 'shard')}, "
        f"{work.images_per_s:,.0f} images/s"
    )
    yield (
        f"time         {duration(wall.value)} ({duration(wall.low)} to {duration(wall.high)}), "
        f"of it {duration(forecast.startup_s)} until the workers are ready"
    )
    yield (
        f"bytes        {byte_text(work.read_bytes)} read, "
        f"{byte_text(work.written_bytes.value)} written"
    )
    hours = forecast.unit_hours
    yield f"{forecast.unit}-hours".ljust(13) + f"{_number(hours)}"
    if forecast.cost is not None:
        yield f"cost         {_number(forecast.cost)}"


def _count(one: Interval) -> str:
    return f"{one.value:,.0f} ({one.low:,.0f} to {one.high:,.0f})"


def _number(one: Interval) -> str:
    return f"{one.value:,.3g} ({one.low:,.3g} to {one.high:,.3g})"
