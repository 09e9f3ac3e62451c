"""`coursepack demo`: the whole loop on this machine, ending with a table and a report."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.options import AsJson, Debug, example
from cluster.cli.output import command

app = typer.Typer()


@app.command(epilog=example("coursepack demo", "coursepack demo --out /tmp/demo --seeds 3"))
def demo(
    out: Annotated[
        str, typer.Option("--out", metavar="DIR", help="Folder for everything that is made.")
    ] = "coursepack-demo",
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=1, help="Repeat each training N times.")
    ] = 1,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run the whole loop on a laptop CPU, in minutes, without downloads.

    A teacher of handwritten digits, and a pool of glyphs that holds none of them.

    Scores the pool, selects from it, trains students, and compares them. Needs the extra demo.
    """
    with command("demo", as_json=as_json, debug=debug, continues=True) as output:
        from cluster.demo.run import run_demo

        with output.progress() as on_progress:
            result = run_demo(out=out, seeds=seeds, on_progress=on_progress)
        output.finish(result, text=result.lines())
