"""`coursepack leakage`: what of the pool lies near an evaluation set."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.duplicates import Features, Threads
from cluster.cli.options import AsJson, Debug, MovedWeights, Run, TableName, example
from cluster.cli.output import command

app = typer.Typer()


@app.command(
    epilog=example(
        "coursepack leakage run/ --against test-shards/",
        "coursepack leakage run/ --against test-run/ --grade exact --grade perceptual",
    )
)
def leakage(
    run: Run,
    against: Annotated[
        list[str],
        typer.Option("--against", metavar="SHARDS|RUN", help="The evaluation set; repeatable."),
    ],
    grade: Annotated[
        list[str] | None,
        typer.Option(
            "--grade",
            metavar="exact|perceptual|semantic",
            help="What counts as near; repeatable, all if not given.",
        ),
    ] = None,
    epsilon: Annotated[
        float | None, typer.Option("--epsilon", metavar="X", help="As in duplicates.")
    ] = None,
    radius: Annotated[
        int | None, typer.Option("--radius", metavar="BITS", help="As in duplicates.")
    ] = None,
    features: Features = None,
    weights: MovedWeights = None,
    name: TableName = "",
    threads: Threads = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the images of a run that are near an evaluation set.

    A recipe leaves them out with exclude: {duplicates: leakage}.
    """
    with command("leakage", as_json=as_json, debug=debug) as output:
        from cluster.cli.tables import text_table
        from cluster.verbs.leakage import DEFAULT_EPSILON, DEFAULT_RADIUS, GRADES, known_grade
        from cluster.verbs.leakage import leakage as run_leakage

        with output.progress() as on_progress:
            report = run_leakage(
                run,
                against=against,
                grades=[known_grade(one) for one in grade] if grade else GRADES,
                epsilon=DEFAULT_EPSILON if epsilon is None else epsilon,
                radius=DEFAULT_RADIUS if radius is None else radius,
                features=features,
                weights=weights,
                name=name,
                threads=threads,
                on_progress=on_progress,
            )
        table = text_table(
            ["pool", "evaluation", "grade", "similarity"],
            [list(one.values()) for one in report.examples],
            right=["similarity"],
        )
        told = ", ".join(f"{count:,} {name}" for name, count in report.leaked.items())
        total = sum(report.leaked.values())
        output.finish(
            report,
            text=[
                *([table] if report.examples else []),
                f"{total:,} images are near one of {report.num_evaluation:,} ({told}): "
                f"leakage {report.id}",
            ],
        )
