"""`coursepack map`: where each image lies among the others."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from cluster.cli.options import AsJson, Debug, Run, example
from cluster.cli.output import command

app = typer.Typer()


@app.command(
    epilog=example(
        "coursepack map run/ --selection top600k",
        "coursepack map run/ --method umap --originals cifar10-train/ --name with_originals",
    )
)
def map(
    run: Run,
    method: Annotated[
        Literal["tsne", "umap"], typer.Option("--method", help="How the plane is made.")
    ] = "tsne",
    features: Annotated[
        str | None,
        typer.Option("--features", metavar="ID|NAME", help="Which features; the newest."),
    ] = None,
    selection: Annotated[
        list[str] | None,
        typer.Option(
            "--selection",
            metavar="NAME",
            help="Of a larger pool, draw as much of it as there is room; repeatable.",
        ),
    ] = None,
    points: Annotated[
        int,
        typer.Option("--points", metavar="N", min=5, max=100_000, help="Images drawn at most."),
    ] = 100_000,
    originals: Annotated[
        list[str] | None,
        typer.Option(
            "--originals",
            metavar="POOL",
            help="Shards of images that the teacher was trained on, drawn as well; repeatable.",
        ),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="A name for this map in queries.")
    ] = "",
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the method.")] = 0,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Draw a map of the pool: t-SNE or UMAP of its features.

    Needs features (`coursepack score --features`) and the extra map. `coursepack report` shows it.

    All images of a pool of up to 100,000, of a larger one a sample by selection and class.
    """
    with command("map", as_json=as_json, debug=debug) as output:
        from cluster.verbs.map import map as run_map

        with output.progress() as on_progress:
            result = run_map(
                run,
                method=method,
                features=features,
                selections=selection or (),
                points=points,
                originals=originals or (),
                name=name,
                seed=seed,
                on_progress=on_progress,
            )
        for warning in result.warnings:
            output.say(f"warning: {warning}")
        more = f" and {result.num_originals:,} original images" if result.num_originals else ""
        output.finish(
            result,
            text=[
                f"map {result.fact_id}: {result.num_drawn:,} of {result.num_scored:,} scored "
                f"images{more}{'' if result.written else ', there already'}"
            ],
        )
