"""`coursepack select`, and why a sample is in a selection: `explain`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cluster.cli.diff import show_diff
from cluster.cli.options import AsJson, Debug, Memory, Run, Selection, example
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
        str | None,
        typer.Option("--recipe", metavar="FILE|NAME", help="A recipe file, or one that ships."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Name of the selection; the recipe's own."),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option("--n", metavar="N", min=1, help="Images to take, instead of the recipe's n."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a selection of that name.")
    ] = False,
    diff: Annotated[
        tuple[str, str] | None,
        typer.Option("--diff", metavar="A B", help="Compare two selections, as `diff` does."),
    ] = None,
    memory: Memory = "4GB",
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Select images by a recipe.

    A query over facts that are there: it takes seconds, needs no GPU, and reads no image.

    Memory is that of the selection and of a few row groups, whatever the size of the pool.
    """
    with command("select", as_json=as_json, debug=debug) as output:
        from cluster.cli.tables import text_table
        from cluster.verbs.select import select as run_select
        from shards.errors import UsageError

        if diff is not None and recipe is None:
            show_diff(output, run, *diff, memory=memory)
            return
        if recipe is None or diff is not None:
            raise UsageError("give either --recipe to select, or --diff A B to compare")
        with output.progress() as on_progress:
            selection = run_select(
                run,
                recipe=recipe,
                name=name,
                n=n,
                overwrite=overwrite,
                memory=memory,
                on_progress=on_progress,
            )
        for warning in selection.stats["warnings"]:
            output.say(f"warning: {warning}")
        steps = text_table(
            ["step", "rows in", "rows out"],
            [
                [step["label"], step["rows_in"], step["rows_out"]]
                for step in selection.stats["steps"]
            ],
            right=["rows in", "rows out"],
        )
        there = "" if selection.written else ", there already"
        output.finish(
            selection,
            text=[
                *([steps] if selection.stats["steps"] else []),
                f"{selection.num_rows:,} of {selection.stats['num_pool_rows']:,} images: "
                f"{selection.path}{there}",
            ],
        )


@app.command(epilog=example("coursepack explain run/ train/cat_0001 --selection top600k"))
def explain(
    run: Run,
    key: Annotated[
        str,
        typer.Argument(metavar="KEY", help="Key, row_id or content hash; every match is told."),
    ],
    selection: Selection,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell why a sample is in a selection, or why not."""
    with command("explain", as_json=as_json, debug=debug) as output:
        from cluster.verbs.explain import explain as run_explain

        matches = run_explain(run, key, selection=selection)
        output.finish({"matches": matches}, text=_explanation(matches))


def _explanation(matches: list[dict[str, Any]]) -> list[str]:
    lines = []
    if matches and matches[0]["views"] != "one":
        from selector.teachers.views import views_text

        lines.append(views_text(matches[0]["views"]))
    for match in matches:
        name = match["class_name"] or match["pseudo_label"]
        class_text = "" if name is None else f", class {name}"
        lines.append(f"{match['key']} (row_id {match['row_id']}, {match['shard']}{class_text})")
        lines.append(f"  {match['why']}")
        for step in match["steps"]:
            reason = f": {step['text']}" if step["text"] else ""
            lines.append(f"    {step['decision']:<11} {step['label']}{reason}")
    return lines
