"""`coursepack doctor`: is this machine, or a cluster, fit to run?"""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.options import Address, AsJson, Debug, example
from cluster.cli.output import command

app = typer.Typer()


@app.command(
    epilog=example(
        "coursepack doctor",
        "coursepack doctor s3://bucket/run --address auto",
    )
)
def doctor(
    places: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PLACE", help="Folders or URIs that every node must share and write."
        ),
    ] = None,
    address: Address = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check this machine, or every node of a cluster.

    Versions, code, token, GPUs, shared storage, clocks, disk and limits: each line says ok, warning
    or problem, and what to do. The exit code is 1 if there is a problem.
    """
    with command("doctor", as_json=as_json, debug=debug) as output:
        from cluster.verbs.doctor import doctor as run

        report = run(places or (), address=address)
        output.finish(report, text=report.lines(), exit_code=report.exit_code)
