"""`coursepack truth`: ground truth of a pool for experiments, as a fact table."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from cluster.cli.options import AsJson, Debug, Run, example
from cluster.cli.output import command

app = typer.Typer()


@app.command(
    epilog=example(
        "coursepack truth run/",
        "coursepack truth run/ --member json --field synset --map classes.yaml",
    )
)
def truth(
    run: Run,
    member: Annotated[
        Literal["cls", "json"],
        typer.Option("--member", metavar="cls|json", help="What says the class of a sample."),
    ] = "cls",
    field: Annotated[
        str | None, typer.Option("--field", metavar="NAME", help="Of the .json.")
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option("--map", metavar="FILE", help="YAML: value to class; others are negative."),
    ] = None,
    missing: Annotated[
        Literal["negative", "unknown"],
        typer.Option("--missing", metavar="negative|unknown", help="What a sample without it is."),
    ] = "negative",
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Read the true classes that a pool carries, for evaluation and baselines.

    They become truth.is_positive and truth.label. No score and no training reads them.
    """
    with command("truth", as_json=as_json, debug=debug) as output:
        from cluster.verbs.truth import truth as run_truth

        with output.progress() as on_progress:
            report = run_truth(
                run,
                member=member,
                field=field,
                mapping=mapping,
                missing=missing,
                on_progress=on_progress,
            )
        output.finish(
            report,
            text=[
                f"truth {report.id}: {report.positives:,} positive, {report.negatives:,} not, "
                f"{report.unknown:,} unknown"
            ],
        )
