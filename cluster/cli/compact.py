"""`coursepack compact`: fewer, larger files for the tables of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.options import AsJson, Debug, Run, example
from cluster.cli.output import command

app = typer.Typer()


@app.command(epilog=example("coursepack compact run/"))
def compact(
    run: Run,
    rows: Annotated[
        int, typer.Option("--rows", metavar="N", min=1, help="Rows of a file, at least.")
    ] = 1_000_000,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Put the many small parts of a run's tables together into files of about a million rows.

    Worth it from some thousand shards on: queries and selections then open fewer files. Rows and
    their order stay, selections too; shards that are scored later come beside the compacted files.
    """
    with command("compact", as_json=as_json, debug=debug, continues=True) as output:
        from cluster.verbs.compact import compact as run_compact

        with output.progress() as on_progress:
            report = run_compact(run, rows=rows, on_progress=on_progress)
        line = f"{report.files_before:,} files before, {report.files_after:,} now"
        if not report.written:
            line = f"nothing to put together: {report.files_after:,} files"
        output.finish(report.to_dict(), text=[f"{line} ({report.seconds:.1f} s): {report.run}"])
