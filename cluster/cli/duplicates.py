"""`coursepack duplicates`: what is twice in a run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from cluster.cli.options import AsJson, Debug, Run, TableName, example
from cluster.cli.output import command

app = typer.Typer()

Features = Annotated[
    str | None,
    typer.Option("--features", metavar="ID|NAME", help="Feature table; the newest of the run."),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", min=1, help="One per core; changes no result."),
]
Epsilon = Annotated[
    float | None,
    typer.Option("--epsilon", metavar="X", help="Semantic: greatest cosine distance."),
]
Radius = Annotated[
    int | None,
    typer.Option("--radius", metavar="BITS", help="Perceptual: greatest number of bits, of 64."),
]


@app.command(
    epilog=example(
        "coursepack duplicates run/ --grade exact",
        "coursepack duplicates run/ --grade semantic --epsilon 0.03 --keep-by noise_value",
    )
)
def duplicates(
    run: Run,
    grade: Annotated[
        Literal["exact", "perceptual", "semantic"],
        typer.Option("--grade", help="Same bytes, near pHash, or near features."),
    ] = "exact",
    keep_by: Annotated[
        str,
        typer.Option("--keep-by", metavar="COLUMN", help="Of near images the best by it stays."),
    ] = "noise_value",
    descending: Annotated[
        bool | None,
        typer.Option("--highest/--lowest", help="Which end is better; the column says it."),
    ] = None,
    epsilon: Epsilon = None,
    radius: Radius = None,
    features: Features = None,
    name: TableName = "",
    threads: Threads = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Find duplicates: images that lie near an image that is kept.

    A recipe leaves them out with exclude: {duplicates: exact}, perceptual, or semantic.
    """
    with command("duplicates", as_json=as_json, debug=debug) as output:
        from cluster.cli.tables import text_table
        from cluster.verbs.duplicates import duplicates as run_duplicates

        with output.progress() as on_progress:
            report = run_duplicates(
                run,
                grade=grade,
                keep_by=keep_by,
                descending=descending,
                epsilon=epsilon,
                radius=radius,
                features=features,
                name=name,
                threads=threads,
                on_progress=on_progress,
            )
        groups = text_table(
            ["kept", "row_id", "duplicates"],
            [[g["key"], g["row_id"], g["duplicates"]] for g in report.largest_groups],
            right=["row_id", "duplicates"],
        )
        output.finish(report, text=[*([groups] if report.largest_groups else []), *_lines(report)])


def _lines(report: Any) -> list[str]:
    about = report.about
    compared = f" of {about['compared']:,} compared" if "compared" in about else ""
    lines = [f"{report.removed:,} duplicates{compared}: {report.kind} {report.id}"]
    if not report.written:
        lines[0] += ", there already"
    skipped = {k: n for k, n in about.get("not_compared", {}).items() if n}
    if skipped:
        words = ", ".join(f"{n:,} {k.replace('_', ' ')}" for k, n in skipped.items())
        lines.append(f"not compared: {words}")
    if about.get("recall", 1.0) < 1.0:
        lines.append(f"recall of the search, estimated on {about['sampled']:,}: {about['recall']}")
    return lines
