"""`coursepack score`: a teacher over every shard of a pool."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cluster.cli.options import (
    Actors,
    Address,
    AllowCode,
    AsJson,
    BatchSize,
    ClassNames,
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
    require,
)
from cluster.cli.output import command

app = typer.Typer()

_EXAMPLES = example(
    "coursepack score pool/ --teacher torchvision/resnet34 --weights t.safetensors --out run/",
    "coursepack score 's3://bucket/pool/{000..127}.tar' --config score.yaml --address auto",
    "coursepack score photos/ --teacher timm/resnet50 --weights r50.pth --decode fast --out run/",
)


@app.command(epilog=_EXAMPLES)
def score(
    pool: PoolOrConfig = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="RUN", help="Folder or URI of the run; made or continued."),
    ] = None,
    teacher: Teacher = None,
    weights: Weights = None,
    class_names: ClassNames = None,
    image_ext: Annotated[
        str | None,
        typer.Option(
            "--image-ext", metavar="EXT,EXT", help="Which members are images, in this order."
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            "--features",
            metavar="full|pca:D",
            help="Store stage features too, all or D principal components; also of a scored run.",
        ),
    ] = None,
    taps: Annotated[
        str | None,
        typer.Option(
            "--taps",
            metavar="MODULE,MODULE",
            help="Modules whose averaged outputs are the features; stage ends if not given.",
        ),
    ] = None,
    max_bad: Annotated[
        str | None,
        typer.Option(
            "--max-bad", metavar="N|SHARE", help="Failed images allowed: a count or a share; 5%."
        ),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Do failed images of finished shards again, alone."),
    ] = False,
    executor: ExecutorName = None,
    address: Address = None,
    actors: Actors = None,
    threads: WorkerThreads = None,
    batch_size: BatchSize = None,
    device: Device = None,
    runtime: Runtime = None,
    views: Views = None,
    decode: Decode = None,
    config: ScoreFile = None,
    assignments: Overrides = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Score every image of a pool with a teacher.

    Writes one row per image, failed ones included, into the tables of a run.

    The same command continues a run that was stopped, and adds shards that are new in the pool.
    """
    with command("score", as_json=as_json, debug=debug, continues=True) as output:
        from cluster.config import load_config, overrides_of
        from cluster.execution import standby_workers
        from cluster.forecast.record import fact_lines
        from cluster.score_config import ScoreConfig
        from selector.tables.layout import RunLayout
        from shards import storage

        if config is None and not assignments:
            require({"POOL": pool, "--out": out, "--teacher": teacher})
        if taps and not features and config is None:
            _refuse_taps_alone()
        given: dict[str, Any] = {
            "pool": pool or None,
            "out": out,
            "teacher.name": teacher,
            "teacher.weights": weights,
            "teacher.class_names": class_names,
            "teacher.allow_code": allow_code or None,
            "image_ext": image_ext.split(",") if image_ext else None,
            "features.mode": features,
            "features.taps": taps.split(",") if taps else None,
            "max_bad": max_bad,
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
        chosen = load_config(
            ScoreConfig,
            config or {},
            overrides=overrides_of(assignments, given),
        )
        execution = chosen.execution.to_config()
        # What is far takes a request to look at, and a run that is worth one is long anyway.
        is_near = all(storage.is_local(place) for place in (chosen.out, *chosen.pool))
        is_new = (
            is_near
            and chosen.runtime != "auto"
            and not storage.exists(RunLayout(chosen.out).config)
        )
        parts = len(storage.expand(chosen.pool)) if is_new else None
        with (
            standby_workers(execution, is_new=is_new, parts=parts) as standby,
            output.progress() as on_progress,
        ):
            from cluster.verbs.score import score as run  # torch; the workers load it too by now

            report = run(
                chosen.pool,
                spec=chosen.spec(),
                out=chosen.out,
                execution=execution,
                max_bad=chosen.max_bad,
                retry_failed=retry_failed,
                features=chosen.features,
                on_progress=on_progress,
                standby=standby,
            )
        for warning in report.warnings:
            output.say(f"warning: {warning}")
        counts = [f"{count:,} {status}" for status, count in report.statuses.items()]
        nothing = report.quarantined and not report.parts_done
        speed = ["no shard could be scored"] if nothing else report.throughput.lines()
        if report.features is not None:
            speed = [*speed, _features_line(report.features)]
        output.finish(
            report.to_dict(),
            text=[
                *speed,
                *(fact_lines(report.forecast) if report.forecast else []),
                f"{report.rows:,} rows ({', '.join(counts) or 'none'}) in {report.run}",
            ],
            exit_code=report.exit_code,
        )


def _refuse_taps_alone() -> None:
    from shards.errors import UsageError

    raise UsageError("--taps says where features are read; add --features full or pca:D to it")


def _features_line(features: dict[str, Any]) -> str:
    kept = features["explained_variance"]
    share = "" if kept is None else f", {kept:.1%} of their variance"
    return (
        f"features {features['name'] or features['id']}: {features['dim']} numbers an image"
        f"{share}, {features['parts']:,} parts"
    )
