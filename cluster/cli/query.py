"""`coursepack query`: SQL over the tables of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from cluster.cli.options import AsJson, Debug, Memory, Run, example
from cluster.cli.output import Output, command
from cluster.cli.tables import MAX_ROWS_SHOWN, Format

if TYPE_CHECKING:
    import pyarrow as pa

    from selector.tables.query import Answer

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
    memory: Memory = "4GB",
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Ask the tables of a run with SQL.

    Views: scores, shards, classes, members, one for each kind of fact, one for each selection.

    The view of a selection is called selection_NAME; in double quotes where that is no plain word.

    Read-only; the query reaches nothing outside the run.

    With --format json an array of rows is printed, with --json an object that holds them.

    Rows are written as they come; what SQL has to hold (joins, sorting) is bounded by --memory.
    """
    with command("query", as_json=as_json, debug=debug) as output:
        _check_format(form, out, output)

        from cluster.cli.tables import write
        from cluster.verbs.query import open_query

        with (
            output.progress() as on_progress,
            open_query(run, sql, memory=memory, on_progress=on_progress) as answer,
        ):
            if out is not None:
                from shards import atomic

                with atomic.new_file(out) as file:
                    num_rows = write(answer, form, file)
            elif as_json or form == "table":
                rows = _some_rows(answer, limit=None if as_json else MAX_ROWS_SHOWN + 1)
            else:
                write(answer, form, output.stdout.buffer, stream=True)
                output.stdout.buffer.flush()
        if out is not None:
            names = answer.schema.names
            output.finish(
                {"out": out, "num_rows": num_rows, "columns": names},
                text=[f"{num_rows:,} rows in {out}"],
            )
        elif as_json or form == "table":
            _show(rows, output)


def _some_rows(answer: Answer, *, limit: int | None) -> pa.Table:
    """The first rows of an answer; what is not asked for is not computed either."""
    import pyarrow as pa

    found, num_rows = [], 0
    for batch in answer.batches:
        found.append(batch)
        num_rows += len(batch)
        if limit is not None and num_rows >= limit:
            break
    return pa.Table.from_batches(found, schema=answer.schema).slice(0, limit)


def _show(rows: pa.Table, output: Output) -> None:
    from cluster.cli.tables import rich_table
    from selector.tables.output import to_json

    if output.as_json:
        content = {"columns": rows.column_names, "rows": json.loads(to_json(rows))}
        output.finish({"num_rows": rows.num_rows, **content}, text=[])
        return
    output.finish({}, text=[rich_table(rows)])
    if rows.num_rows > MAX_ROWS_SHOWN:
        output.say(
            f"only the first {MAX_ROWS_SHOWN:,} rows are shown; add LIMIT, or use --format csv"
        )


def _check_format(form: Format, out: str | None, output: Output) -> None:
    from shards.errors import UsageError

    binary = form in ("parquet", "arrow")
    if binary and out is None and not output.as_json and output.stdout.isatty():
        raise UsageError(f"--format {form} is binary: add --out FILE, or redirect stdout")
