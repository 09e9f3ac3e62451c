"""`coursepack report`: a selection to look at."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.options import AsJson, Debug, Run, Selection, example
from cluster.cli.output import command

app = typer.Typer()


@app.command(
    epilog=example(
        "coursepack report run/ --selection top600k",
        "coursepack report run/ --selection top600k --compare random600k --map",
        "coursepack report run/ --selection top600k --export embedding-atlas top600k.parquet",
    )
)
def report(
    run: Run,
    selection: Selection,
    compare: Annotated[
        str | None,
        typer.Option("--compare", metavar="NAME", help="Show what only one of two selections has."),
    ] = None,
    student: Annotated[
        list[str] | None,
        typer.Option("--student", metavar="DIR", help="Show how a student trained; repeatable."),
    ] = None,
    with_map: Annotated[
        bool | None,
        typer.Option(
            "--map/--no-map",
            help="Make a map if there is none, or leave it out; shown if it is there.",
            show_default=False,
        ),
    ] = None,
    export: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--export",
            metavar="TOOL PATH",
            help="Instead of a page write a file for embedding-atlas, or a folder for fiftyone.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="The HTML file; in the run's report folder."),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Draw a selection: numbers, figures, galleries, in one self-contained HTML file."""
    with command("report", as_json=as_json, debug=debug) as output:
        from cluster.verbs.report import report as run_report
        from cluster.verbs.report import report_export

        if export is not None:
            tool, path = export
            made = report_export(run, selection=selection, tool=tool, out=path, compare=compare)
            if made.num_unread:
                output.say(f"warning: {made.num_unread:,} images cannot be read from the pool")
            output.finish(made, text=[f"{made.num_images:,} images for {tool}: {made.path}"])
            return
        warnings: list[str] = []
        with output.progress() as on_progress:
            path = run_report(
                run,
                selection=selection,
                compare=compare,
                students=student or (),
                with_map=with_map,
                out=out,
                on_warning=warnings.append,
                on_progress=on_progress,
            )
        for warning in warnings:
            output.say(f"warning: {warning}")
        output.finish({"report": path, "warnings": warnings}, text=[f"report: {path}"])
