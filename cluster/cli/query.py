"""`coursepack query`: SQL over the tables of a run."""

from __future__ import annotations

import json
from typing import Annotated, get_args

import typer

from cluster.cli.options import AsJson, Debug, Run, example
from cluster.cli.output import Output, command
from cluster.cli.tables import MAX_ROWS_SHOWN, Format

app = typer.Typer()


@app.command(
    epilog=example(
        'coursepack query run/ "SELECT pseudo_label, count(*) FROM scores GROUP BY 1"',
        'coursepack query run/ "SELECT * FROM scores" --format parquet --out scores.parquet',
    )
)
def query(
    run: Run,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT statement (DuckDB).")],
    form: Annotated[
        Format,
        typer.Option("--format", metavar="|".join(get_args(Format)), help="How rows are written."),
    ] = "table",
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="Write there, not to stdout.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Ask the tables of a run with SQL.

    Views: scores, shards, classes, members, one for each kind of fact, one for each selection.

    The view of a selection is called selection_NAME; in double quotes where that is no plain word.

    Read-only; the query reaches nothing outside the run.

    With --format json an array of rows is printed, with --json an object that holds them.
    """
    with command("query", as_json=as_json, debug=debug) as output:
        _check_format(form, out, output)

        from cluster.cli.tables import encode, rich_table
        from cluster.verbs.query import query as run_query

        rows = run_query(run, sql)
        if out is not None:
            from shards import atomic

            atomic.write_bytes(out, encode(rows, form))
            output.finish(
                {"out": out, "num_rows": rows.num_rows, "columns": rows.column_names},
                text=[f"{rows.num_rows:,} rows in {out}"],
            )
        elif as_json:
            content = {"columns": rows.column_names, "rows": json.loads(encode(rows, "json"))}
            output.finish({"num_rows": rows.num_rows, **content}, text=[])
        elif form == "table":
            output.finish({}, text=[rich_table(rows)])
            if rows.num_rows > MAX_ROWS_SHOWN:
                output.say(
                    f"{MAX_ROWS_SHOWN:,} of {rows.num_rows:,} rows shown; "
                    "add LIMIT, or use --format csv"
                )
        else:
            output.write_bytes(encode(rows, form))


def _check_format(form: Format, out: str | None, output: Output) -> None:
    from shards.errors import UsageError

    if form == "parquet" and out is None and not output.as_json and output.stdout.isatty():
        raise UsageError("--format parquet is binary: add --out FILE, or redirect stdout")
