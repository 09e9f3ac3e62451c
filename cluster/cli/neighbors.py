"""`coursepack neighbors build` and `coursepack similar`: what lies near what."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from cluster.cli.duplicates import Features, Threads
from cluster.cli.options import AsJson, Debug, MovedWeights, Run, example
from cluster.cli.output import command

app = typer.Typer(help="Index over a run's features.", no_args_is_help=True)
similar_app = typer.Typer()


@app.callback()
def group() -> None:
    """The index over a run's features."""


@app.command(
    epilog=example(
        "coursepack neighbors build run/",
        "coursepack neighbors build run/ --features pca64 --kind ivf-pq --rebuild",
    )
)
def build(
    run: Run,
    features: Features = None,
    kind: Annotated[
        Literal["flat", "ivf-flat", "ivf-pq"] | None,
        typer.Option("--kind", help="In place of the one chosen by size."),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Of the training of the lists.")
    ] = 0,
    threads: Threads = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Train and fill it anew.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Build the index over a run's features, or add what is new to it.

    Similar and semantic duplicates build it by themselves where it is missing.
    """
    with command("neighbors build", as_json=as_json, debug=debug, continues=True) as output:
        from cluster.verbs.neighbors import neighbors_build

        with output.progress() as on_progress:
            report = neighbors_build(
                run,
                features=features,
                kind=kind,
                seed=seed,
                threads=threads,
                rebuild=rebuild,
                on_progress=on_progress,
            )
        card = report.card
        recall = card["recall"]["recall_at_k"]
        left_out = card["missing"] + card["unusable"]
        output.finish(
            report,
            text=[
                f"{card['num_vectors']:,} vectors of {card['dim']} dimensions, "
                f"{card['kind']['kind']} ({card['kind']['reason']}): {report.folder}",
                "recall@10: " + ("exact" if card["recall"]["exact"] else f"{recall}"),
                *([f"{left_out:,} rows have no usable vector"] if left_out else []),
            ],
        )


@similar_app.command(
    epilog=example(
        "coursepack similar run/ train/cat_0001 --html near.html",
        "coursepack similar run/ photo.jpg --by phash",
    )
)
def similar(
    run: Run,
    image: Annotated[
        str,
        typer.Argument(
            metavar="KEY|IMAGE", help="Key, row_id or content hash of an image of the run; a file."
        ),
    ],
    k: Annotated[int, typer.Option("--k", metavar="N", help="Neighbours, 1 to 1000.")] = 12,
    by: Annotated[
        Literal["features", "phash"], typer.Option("--by", help="What is compared.")
    ] = "features",
    features: Features = None,
    weights: MovedWeights = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write a page with thumbnails.")
    ] = None,
    threads: Threads = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Find the images of a run nearest to one of them, or to an image file."""
    with command("similar", as_json=as_json, debug=debug) as output:
        from cluster.cli.tables import text_table
        from cluster.verbs.similar import similar as run_similar

        with output.progress() as on_progress:
            report = run_similar(
                run,
                image,
                k=k,
                by=by,
                features=features,
                weights=weights,
                html=html,
                threads=threads,
                on_progress=on_progress,
            )
        near = "similarity" if by == "features" else "distance"
        table = text_table(
            [near, "key", "class", "noise_value", "row_id"],
            [
                [getattr(one, near), one.key, one.class_name, one.noise_value, one.row_id]
                for one in report.neighbors
            ],
            right=[near, "noise_value", "row_id"],
        )
        output.finish(report, text=[table, *([f"page: {html}"] if html else [])])
