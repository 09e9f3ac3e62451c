"""`coursepack runs list|gc`: which runs there are, and what in them can go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.cli.options import AsJson, Debug, example
from cluster.cli.output import command
from cluster.cli.units import byte_text, duration, plural

if TYPE_CHECKING:
    from cluster.verbs.runs import ListedRun

app = typer.Typer(no_args_is_help=True, help="Look at runs, and clear what nobody needs.")

_Folder = Annotated[
    str, typer.Argument(metavar="DIR", help="A run, or a folder or URI with runs below it.")
]


@app.command("list", epilog=example("coursepack runs list /data/runs"))
def list_runs(folder: _Folder, as_json: AsJson = False, debug: Debug = False) -> None:
    """List every run below a folder: teacher, progress, size, last change, who drives it."""
    with command("runs list", as_json=as_json, debug=debug) as output:
        from cluster.cli.tables import text_table
        from cluster.verbs.runs import runs_list

        found = runs_list(folder)
        columns = ("run", "teacher", "done", "shards", "size", "last change", "state")
        table = text_table(columns, map(_row, found), right=("done", "shards", "size"))
        output.finish({"runs": found}, text=[table if found else f"no run in {folder}"])


@app.command(epilog=example("coursepack runs gc /data/runs", "coursepack runs gc run/ --yes"))
def gc(
    folder: _Folder,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove the files; without it they are only listed.")
    ] = False,
    older_than: Annotated[
        float,
        typer.Option("--older-than", metavar="HOURS", min=0, help="Leave younger files alone."),
    ] = 1.0,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Find what can go: leftovers of killed processes, superseded parts and table lists.

    A run that a driver works on is left alone. Nothing is removed without --yes.
    """
    with command("runs gc", as_json=as_json, debug=debug) as output:
        from cluster.verbs.runs import runs_gc

        found = runs_gc(folder, yes=yes, quiet_s=older_than * 3600)
        for run, why in found.skipped.items():
            output.say(f"left alone: {run}: {why}")
        rows = [f"{byte_text(one.num_bytes):>9}  {one.uri}: {one.why}" for one in found.garbage]
        total = byte_text(sum(one.num_bytes for one in found.garbage))
        did = "removed" if yes else "can go (add --yes to remove them)"
        rows.append(f"{plural(len(found.garbage), 'file')}, {total}, {did}")
        output.finish(found, text=rows)


def _row(one: ListedRun) -> Iterator[Any]:
    status = one.status
    if status is None:
        yield from (one.run, "", "", "", byte_text(one.num_bytes), _ago(one), one.error)
        return
    share = status.bytes_done / status.num_bytes if status.num_bytes else 0.0
    yield one.run
    yield status.teacher
    yield f"{share:.1%}"
    yield f"{status.shards_done:,}/{status.shards:,}"
    yield byte_text(one.num_bytes)
    yield _ago(one)
    driver = status.driver
    by = f" by process {driver.pid} on {driver.host}" if driver and driver.alive else ""
    bad = f", {len(status.quarantined)} quarantined" if status.quarantined else ""
    yield f"{status.state}{by}{bad}"


def _ago(one: ListedRun) -> str:
    if one.last_change_s is None:
        return ""
    return f"{duration(max(0.0, time.time() - one.last_change_s))} ago"
