"""`coursepack distill`: train a student from a configuration file."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.options import Address, AllowCode, AsJson, Debug, Overrides, example
from cluster.cli.output import command
from distiller.recipes import OPTIONS, TRAININGS

app = typer.Typer()


@app.command(
    epilog=example(
        "coursepack distill distill.yaml",
        "coursepack distill distill.yaml --out student/ --set optimizer.lr=0.05 --set seed=1",
        "coursepack distill distill.yaml --recipe dfnd_seed --recipe patient --set steps=80000",
    )
)
def distill(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG.yaml", help="The training run; see docs/config.md.")
    ],
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR", help="Folder of the student, instead of the file's."),
    ] = None,
    recipes: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe",
            metavar="NAME",
            help="Settings that ship, for what the file does not say, in place of the file's "
            f"recipe: {', '.join(TRAININGS)}; options to go on top: {', '.join(OPTIONS)}; "
            "repeatable.",
        ),
    ] = None,
    address: Address = None,
    assignments: Overrides = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train a student network on selected images.

    Writes checkpoints, metrics, the weights of the last step, and a card that tells their origin.

    The same command continues a training that was stopped.
    """
    with command("distill", as_json=as_json, debug=debug, continues=True) as output:
        from cluster.config import overrides_of
        from cluster.verbs.distill import distill as run

        given = {"out": out, "recipe": recipes or None, "teacher.allow_code": allow_code or None}
        overrides = overrides_of(assignments, given)
        with output.progress() as on_progress:
            result = run(config, overrides=overrides, address=address, on_progress=on_progress)
        # Shards that break off: an earlier call may have told, but the figures still need it.
        breaks = result.card["data"].get("breaks", [])
        for text in breaks:
            output.say(f"warning: images are missing, mend the shard and train again: {text}")
        metrics = [f"  {name} {value}" for name, value in sorted(result.metrics.items())]
        output.finish(
            result,
            text=[f"{result.steps:,} steps, student: {result.student_weights}", *metrics],
            exit_code=3 if breaks else 0,
        )
