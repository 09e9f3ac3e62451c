"""`coursepack select`, and what looks at a selection: `explain` and `report`."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.options import AsJson, Debug, Run, Selection, example
from cluster.cli.output import command

app = typer.Typer()


@app.command(
    epilog=example(
        "coursepack select run/ --recipe dfnd.yaml --name top600k",
        "coursepack select run/ --recipe dfnd --n 10000 --name top10k",
    )
)
def select(
    run: Run,
    recipe: Annotated[
        str,
        typer.Option("--recipe", metavar="FILE|NAME", help="A recipe file, or one that ships."),
    ],
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Name of the selection that is made.")
    ],
    n: Annotated[
        int | None,
        typer.Option("--n", metavar="N", min=1, help="Images to take, instead of the recipe's n."),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Select images by a recipe.

    A query over facts that are there: takes seconds, needs no GPU, and reads no image.
    """
    with command("select", as_json=as_json, debug=debug) as output:
        from cluster.cli.tables import text_table
        from cluster.verbs.select import select as run_select

        selection = run_select(run, recipe=recipe, name=name, n=n)
        steps = selection.stats["steps"]
        table = text_table(
            ["step", "in", "out"],
            [[step["step"], step["in"], step["out"]] for step in steps],
            right=["in", "out"],
        )
        output.finish(
            selection,
            text=[table, f"{selection.num_rows:,} images in {selection.path}"],
        )


@app.command(epilog=example("coursepack explain run/ train/cat_0001 --selection top600k"))
def explain(
    run: Run,
    key: Annotated[
        str,
        typer.Argument(metavar="KEY", help="Key of a sample, or its row_id; every match is told."),
    ],
    selection: Selection,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell why a sample is in a selection, or why not."""
    with command("explain", as_json=as_json, debug=debug) as output:
        from cluster.verbs.explain import explain as run_explain

        matches = run_explain(run, key, selection=selection)
        output.finish({"matches": matches}, text=_describe(matches))


@app.command(epilog=example("coursepack report run/ --selection top600k"))
def report(
    run: Run,
    selection: Selection,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="The HTML file; in the run's report folder."),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Draw a selection: histogram, classes, gallery, in one self-contained HTML file."""
    with command("report", as_json=as_json, debug=debug) as output:
        from cluster.verbs.report import report as run_report

        path = run_report(run, selection=selection, out=out)
        output.finish({"report": path}, text=[f"report: {path}"])
