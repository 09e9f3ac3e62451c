"""`coursepack export`: the images of a selection as shards of their own."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.options import (
    Actors,
    Address,
    AsJson,
    Debug,
    ExecutorName,
    Run,
    Selection,
    example,
)
from cluster.cli.output import command

app = typer.Typer()


@app.command(epilog=example("coursepack export run/ --selection top600k --out selected/"))
def export(
    run: Run,
    selection: Selection,
    out: Annotated[
        str, typer.Option("--out", metavar="DIR", help="Folder or URI to write the shards to.")
    ],
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Seed of the global shuffle.")
    ] = 0,
    shard_size: Annotated[
        int, typer.Option("--shard-size", metavar="N", min=1, help="Images per shard.")
    ] = 10_000,
    executor: ExecutorName = None,
    address: Address = None,
    actors: Actors = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Copy a selection into shards: original bytes, all members, shuffled.

    Beside the shards, lineage.parquet names the row of the run behind each sample, and its weight.
    """
    with command("export", as_json=as_json, debug=debug, continues=True) as output:
        from cluster.execution import ExecutionConfig
        from cluster.verbs.export import export as run_export

        execution = ExecutionConfig(executor=executor, address=address, actors=actors)
        with output.progress() as on_progress:
            result = run_export(
                run,
                selection=selection,
                out=out,
                seed=seed,
                shard_size=shard_size,
                execution=execution,
                on_progress=on_progress,
            )
        output.finish(result, text=result.lines())
