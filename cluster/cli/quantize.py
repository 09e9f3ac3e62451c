"""`coursepack quantize`: a teacher as an int8 file, with a report of how it agrees."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cluster.cli.options import (
    AllowCode,
    AsJson,
    ClassNames,
    Debug,
    Decode,
    Overrides,
    PoolOrConfig,
    ScoreFile,
    Teacher,
    Weights,
    example,
    require,
)
from cluster.cli.output import command

app = typer.Typer()


@app.command(
    epilog=example(
        "coursepack quantize pool/ --teacher he/resnet20 --weights t.npz --out t-int8.onnx",
        "coursepack quantize pool/ --config score.yaml --out t-int8.onnx --images 4096",
    )
)
def quantize(
    out: Annotated[str, typer.Option("--out", metavar="FILE.onnx", help="The int8 file to write.")],
    pool: PoolOrConfig = None,
    teacher: Teacher = None,
    weights: Weights = None,
    class_names: ClassNames = None,
    images: Annotated[
        int,
        typer.Option(
            "--images",
            metavar="N",
            min=128,
            help="Images to read: half to calibrate, half to compare.",
        ),
    ] = 1024,
    float_layers: Annotated[
        int,
        typer.Option(
            "--float-layers",
            metavar="N",
            min=0,
            help="First convolutions that stay in float32; more = nearer to the teacher, slower.",
        ),
    ] = 1,
    accept: Annotated[
        bool, typer.Option("--accept", help="Write the file even if it fails the gate.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there.")
    ] = False,
    decode: Decode = None,
    config: ScoreFile = None,
    assignments: Overrides = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a teacher as an int8 ONNX file, a teacher of its own: --teacher file:FILE.onnx.

    On images of the pool that it was not calibrated on, the file must rank and choose as the
    teacher does; else nothing is written. Beside it lie a report and a configuration for score.
    """
    with command("quantize", as_json=as_json, debug=debug) as output:
        from cluster.config import load_config, overrides_of
        from cluster.score_config import ScoreConfig

        if config is None and not assignments:
            require({"POOL": pool, "--teacher": teacher})
        given: dict[str, Any] = {
            "pool": pool or None,
            "out": "",  # of a run, which there is none of
            "teacher.name": teacher,
            "teacher.weights": weights,
            "teacher.class_names": class_names,
            "teacher.allow_code": allow_code or None,
            "preprocessing.decode": decode,
        }
        chosen = load_config(ScoreConfig, config or {}, overrides=overrides_of(assignments, given))
        with output.progress() as on_progress:
            from cluster.verbs.quantize import quantize as run

            report = run(
                chosen.pool,
                spec=chosen.spec(),
                out=out,
                images=images,
                float_layers=float_layers,
                accept=accept,
                overwrite=overwrite,
                on_progress=on_progress,
            )
        output.finish(report.to_dict(), text=report.lines())
