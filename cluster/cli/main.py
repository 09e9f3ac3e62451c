"""The `coursepack` command: every verb, gathered. Nothing heavy is imported before a verb runs."""

from __future__ import annotations

import contextlib
import signal
import sys
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cluster.cli import (
    bench,
    clusters,
    compact,
    compress,
    demo,
    diff,
    distill,
    doctor,
    duplicates,
    export,
    jobs,
    leakage,
    map,
    neighbors,
    plan,
    pu,
    quantize,
    query,
    report,
    runs,
    score,
    select,
    shards,
    status,
    submit,
    truth,
)
from cluster.cli.plain import to_json


class Commands(TyperGroup):
    """The command group; a wrong option answers in JSON too where JSON was asked for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta["coursepack.json"] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            # Errors of the option parser alone can show themselves; typer does so for a reader,
            # and which module defines their class depends on typer's version.
            if ctx.meta["coursepack.json"] and hasattr(error, "format_message"):
                told = {"type": type(error).__name__, "message": error.format_message()}
                print(to_json({"exit_code": 2, "error": told}))
            raise


app = typer.Typer(
    name="coursepack",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help=(
        "Find, in a large unlabeled image pool, the images a teacher network can teach a student "
        "with, and train that student."
    ),
    epilog="Start with: coursepack demo",
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"coursepack {version('coursepack')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Nothing happens before the verb."""


app.add_typer(demo.app)
app.add_typer(shards.app, name="shards")
app.add_typer(score.app)
app.add_typer(query.app)
app.add_typer(select.app)
app.add_typer(map.app)
app.add_typer(report.app)
app.add_typer(export.app)
app.add_typer(distill.app)
app.add_typer(compress.app)
app.add_typer(doctor.app)
app.add_typer(plan.app)
app.add_typer(bench.app)
app.add_typer(submit.app)
app.add_typer(jobs.app, name="jobs")
app.add_typer(status.app)
app.add_typer(runs.app, name="runs")
app.add_typer(duplicates.app)
app.add_typer(compact.app)
app.add_typer(diff.app)
app.add_typer(pu.app, name="pu")
app.add_typer(truth.app)
app.add_typer(neighbors.app, name="neighbors")
app.add_typer(neighbors.similar_app)
app.add_typer(clusters.app)
app.add_typer(leakage.app)
app.add_typer(quantize.app)


def main() -> None:
    """The installed command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A key that the terminal's encoding lacks must not end a run.
            with contextlib.suppress(OSError):
                stream.reconfigure(errors="backslashreplace")
    # Job servers, Kubernetes and Slurm ask a process to end this way: as Ctrl-C, it commits what is
    # done and gives the run's lock back.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app(prog_name="coursepack")


if __name__ == "__main__":
    main()
