"""`coursepack submit`: a verb as a job on a Ray cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from cluster.cli.options import AsJson, Debug, example
from cluster.cli.output import INTERRUPTED, Output, command
from cluster.cli.text import printable, without_colours

app = typer.Typer()

JobServer = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="URL",
        help="Job server, http://HOST:8265; else as RAY_API_SERVER_ADDRESS says, or here.",
    ),
]


@app.command(
    epilog=example(
        "coursepack submit -- score s3://bucket/pool --teacher torchvision/resnet34 "
        "--weights s3://bucket/t.safetensors --out s3://bucket/run",
        "coursepack submit --address http://head:8265 --no-wait --working-dir configs/ -- "
        "distill distill.yaml",
    )
)
def submit(
    words: Annotated[
        list[str], typer.Argument(metavar="-- VERB ...", help="A verb and its arguments, after --.")
    ],
    address: JobServer = None,
    job_id: Annotated[
        str | None, typer.Option("--job-id", metavar="ID", help="Name of the job; Ray makes one.")
    ] = None,
    working_dir: Annotated[
        str | None,
        typer.Option(
            "--working-dir", metavar="DIR", help="Folder whose small files go along (configs)."
        ),
    ] = None,
    ship_code: Annotated[
        bool, typer.Option("--ship-code", help="Bring coursepack's source along, as it is here.")
    ] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Return at once; else the job's output is shown.")
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run a verb on a cluster, as a job that outlives this terminal.

    The same command continues what was stopped: all progress is in the run.

    The exit code is that of the verb. Paths must be absolute or URIs: a job starts elsewhere.
    """
    with command("submit", as_json=as_json, debug=debug) as output:
        from cluster.verbs.submit import submit as run

        known: list[str] = []

        def tell(note: str) -> None:
            known.append(note)
            output.say(f"submit: {note}")

        try:
            job = run(
                words,
                address=address,
                job_id=job_id,
                working_dir=working_dir,
                ship_code=ship_code,
                on_log=None if no_wait else log_to(output),
                on_note=tell,
            )
        except KeyboardInterrupt:
            if not any("is submitted" in note for note in known):
                raise
            output.say("no longer watching; the job goes on (coursepack jobs logs, stop)")
            raise typer.Exit(INTERRUPTED) from None
        text = [] if no_wait else [f"job {job.job_id} {job.status.lower()}"]
        if job.exit_code and job.message:
            output.say(f"submit: {job.message}")
        output.finish(job, text=text, exit_code=job.exit_code)


def log_to(output: Output) -> Callable[[str], None]:
    """A function that shows a job's output: on stdout, or beside the JSON object."""
    stream = sys.stderr if output.as_json else output.stdout

    def show(text: str) -> None:
        stream.write(printable(without_colours(text)))
        stream.flush()

    return show
