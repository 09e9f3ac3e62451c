"""`coursepack diff`: two selections beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cluster.cli.options import AsJson, Debug, Memory, Run, example
from cluster.cli.output import Output, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from selector.selection_diff import SelectionDiff, Side

app = typer.Typer()

_CLASSES_SHOWN = 10


@app.command(epilog=example("coursepack diff run/ top600k balanced600k"))
def diff(
    run: Run,
    a: Annotated[str, typer.Argument(metavar="A", help="Name of a selection.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Name of another one.")],
    examples: Annotated[
        int, typer.Option("--examples", metavar="N", min=0, help="Images of either to show.")
    ] = 5,
    memory: Memory = "4GB",
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Compare two selections: what only one of them has, by class, with examples and why."""
    with command("diff", as_json=as_json, debug=debug) as output:
        show_diff(output, run, a, b, examples=examples, memory=memory)


def show_diff(output: Output, run: str, a: str, b: str, *, examples: int = 5, memory: str) -> None:
    """Compare and tell; also what `coursepack select --diff` does."""
    from cluster.verbs.diff import diff as run_diff

    found = run_diff(run, a, b, examples=examples, memory=memory)
    for warning in found.warnings:
        output.say(f"warning: {warning}")
    output.finish(found, text=_text(found))


def _text(found: SelectionDiff) -> list[str | RenderableType]:
    from cluster.cli.tables import text_table

    counts = ("only A", "only B", "both")
    classes = [row for row in found.classes if row["only_a"] or row["only_b"]]
    lines: list[str | RenderableType] = [
        f"A = {found.a.name}: {found.a.num_rows:,} images, {found.a.only:,} of them not in B",
        f"B = {found.b.name}: {found.b.num_rows:,} images, {found.b.only:,} of them not in A",
        f"both: {found.both:,} (Jaccard {found.jaccard:.4f})",
    ]
    if found.views != "one":
        from selector.teachers.views import views_text

        lines.append(views_text(found.views))
    if classes:
        rows = [
            [row["class_name"] or row["pseudo_label"], row["only_a"], row["only_b"], row["both"]]
            for row in classes[:_CLASSES_SHOWN]
        ]
        lines += ["", text_table(["class", *counts], rows, right=counts)]
        if len(classes) > _CLASSES_SHOWN:
            lines.append(f"... and {len(classes) - _CLASSES_SHOWN:,} more classes (--json has all)")
    for side, letter, other in ((found.a, "A", "B"), (found.b, "B", "A")):
        lines += _side_text(side, letter, other)
    return lines


def _side_text(side: Side, letter: str, other: str) -> list[str]:
    if not side.only:
        return []
    lines = ["", f"only in {letter} ({side.name}), because in {other}"]
    if side.untold:
        return [*lines, f"  cannot be told: {side.untold}"]
    lines += [
        f"  {rows / side.sampled:6.1%}  dropped by {step}" for step, rows in side.reasons.items()
    ]
    if side.sampled < side.only:
        lines.append(f"  (of {side.sampled:,} of them, drawn at random)")
    return [*lines, *(f"  {example['why']}" for example in side.examples)]
