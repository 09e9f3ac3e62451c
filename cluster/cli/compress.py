"""`coursepack compress`: the second method from end to end, by one configuration file."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.options import AllowCode, AsJson, Debug, Overrides, example
from cluster.cli.output import command

app = typer.Typer()


@app.command(
    epilog=example(
        "coursepack compress compress.yaml",
        "coursepack compress compress.yaml --out small/ --set pu.prior=0.2 --set seed=1",
    )
)
def compress(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG.yaml", help="The compression; see docs/compress.md.")
    ],
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR", help="Folder of the result, instead of the file's."),
    ] = None,
    assignments: Overrides = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make a student from a teacher, a few labelled images and a pool.

    Finds the images of the teacher's domain in the pool (positive-unlabeled learning on the
    teacher's features), trains the student on them robustly, and compares with baselines.

    The same command continues what was stopped.
    """
    with command("compress", as_json=as_json, debug=debug, continues=True) as output:
        from cluster.config import overrides_of
        from cluster.verbs.compress import compress as run

        given = {"out": out, "teacher.allow_code": allow_code or None}
        overrides = overrides_of(assignments, given)
        with output.progress() as on_progress:
            result = run(config, overrides=overrides, on_progress=on_progress)
        for warning in result.warnings:
            output.say(f"warning: {warning}")
        output.finish(result, text=result.lines(), exit_code=result.exit_code)
