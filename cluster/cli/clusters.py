"""`coursepack clusters`: which images go together."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.duplicates import Features, Threads
from cluster.cli.options import AsJson, Debug, Run, TableName, example
from cluster.cli.output import command

app = typer.Typer()

_SHOWN = 20


@app.command(
    epilog=example(
        "coursepack clusters run/ --k 1000", "coursepack clusters run/ --k 50 --name coarse"
    )
)
def clusters(
    run: Run,
    k: Annotated[int, typer.Option("--k", metavar="K", min=1, help="Clusters.")],
    features: Features = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of k-means.")] = 0,
    name: TableName = "",
    threads: Threads = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Cluster images by their features (k-means).

    A recipe takes at most n of each by quota: {by: clusters.cluster, n: 50, order: noise_value},
    or n in all, evenly over them, by balance: {by: clusters.cluster, n: 50000}.
    """
    with command("clusters", as_json=as_json, debug=debug) as output:
        from cluster.cli.tables import text_table
        from cluster.verbs.clusters import clusters as run_clusters

        with output.progress() as on_progress:
            report = run_clusters(
                run,
                k=k,
                features=features,
                seed=seed,
                name=name,
                threads=threads,
                on_progress=on_progress,
            )
        largest = sorted(report.clusters, key=lambda one: (-one["images"], one["cluster"]))
        table = text_table(
            ["cluster", "images", "nearest row_id"],
            [[c["cluster"], c["images"], (c["examples"] or [None])[0]] for c in largest[:_SHOWN]],
            right=["cluster", "images", "nearest row_id"],
        )
        about = report.about
        lines = [
            f"{k:,} clusters of {about['smallest']:,} to {about['largest']:,} images, mean "
            f"distance {about['mean_distance']:.4f}: clusters {report.id}"
            + ("" if report.written else ", there already"),
            f"all of them, with examples: {report.card}",
        ]
        if about["not_clustered"]:
            lines.append(f"{about['not_clustered']:,} rows have no usable features and no cluster")
        output.finish(report, text=[table, *lines])
