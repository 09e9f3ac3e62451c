"""`coursepack bench`: how fast this machine could be, and how fast it is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cluster.cli.options import (
    Actors,
    AllowCode,
    AsJson,
    BatchSize,
    Debug,
    Decode,
    Device,
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

app = typer.Typer()


@app.command(
    epilog=example(
        "coursepack bench pool/ --teacher he/resnet20 --weights t.safetensors --out bench/",
        "coursepack bench pool/ --teacher torchvision/resnet34 --weights r34.pth --runtime auto "
        "--price-per-hour 2.5 --against last-week/bench.json",
    )
)
def bench(
    pool: PoolOrConfig = None,
    teacher: Teacher = None,
    weights: Weights = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR", help="Folder for bench.json and bench.html."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="FILE", help="A bench.json to compare with."),
    ] = None,
    images: Annotated[
        int, typer.Option("--images", metavar="N", min=64, help="Images scored in a round, by all.")
    ] = 4096,
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", min=3, help="Times everything is measured.")
    ] = 7,
    features: Annotated[
        bool, typer.Option("--features", help="Store full stage features as well.")
    ] = False,
    actors: Actors = None,
    threads: WorkerThreads = None,
    batch_size: BatchSize = None,
    device: Device = None,
    runtime: Runtime = None,
    views: Views = None,
    decode: Decode = None,
    price_per_hour: Annotated[
        float | None,
        typer.Option("--price-per-hour", metavar="X", min=0, help="Of what is measured."),
    ] = None,
    config: ScoreFile = None,
    assignments: Overrides = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure this machine's limits on a pool, and the engine against them.

    Storage, tar, decoding, model, copies and writing are measured alone, then all together, several
    times in turns. Efficiency is the engine's rate over the lowest limit.

    With --against, the exit code is 3 if a rate fell by more than the noise of both reports.
    """
    with command("bench", as_json=as_json, debug=debug) as output:
        from cluster.config import load_config, overrides_of
        from cluster.score_config import ScoreConfig
        from cluster.verbs.bench import bench as run

        given: dict[str, Any] = {
            "pool": pool or None,
            "teacher.name": teacher,
            "teacher.weights": weights,
            "teacher.allow_code": allow_code or None,
            "execution.actors": actors,
            "execution.threads": threads,
            "execution.batch_size": batch_size,
            "execution.device": device,
            "runtime": runtime,
            "views": views,
            "preprocessing.decode": decode,
        }
        chosen = load_config(
            ScoreConfig,
            config or {},
            # A bench scores into a folder of its own, whatever the file says.
            overrides=overrides_of(assignments, given | {"out": "", "execution.executor": "local"}),
        )
        with output.progress() as on_progress:
            result = run(
                chosen.pool,
                spec=chosen.spec(),
                out=out,
                execution=chosen.execution.to_config(),
                features=features,
                images=images,
                rounds=rounds,
                price_per_hour=price_per_hour,
                against=against,
                on_progress=on_progress,
            )
        text = list(result.report.lines())
        if result.comparison is not None:
            text += [f"against {against}:", *result.comparison.lines()]
        if result.page is not None:
            text.append(f"report: {result.page}")
        output.finish(result.to_dict(), text=text, exit_code=result.exit_code)
