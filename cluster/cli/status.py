"""`coursepack status`: how far a run is, seen from another terminal or machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.cli.options import AsJson, Debug, Run, example
from cluster.cli.output import command
from cluster.cli.units import byte_text, duration, plural

if TYPE_CHECKING:
    from cluster.run_status import RunStatus

app = typer.Typer()

MAX_SHOWN = 5


@app.command(epilog=example("coursepack status run/", "coursepack status s3://bucket/run --watch"))
def status(
    run: Run,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again and again until the run ends.")
    ] = False,
    every: Annotated[
        float,
        typer.Option("--every", metavar="SECONDS", min=0.5, help="With --watch: how often."),
    ] = 10.0,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell how far a run is: done, rate, time left, who drives it, and what went wrong.

    Reads the files of the run alone, so it works from any machine and also after a crash.
    """
    with command("status", as_json=as_json, debug=debug) as output:
        from cluster.verbs.status import status as look

        found = look(run)
        while watch and found.state == "running":
            if not as_json:
                output.say("\n".join(lines(found)) + "\n")
            time.sleep(every)
            found = look(run)
        output.finish(found, text=list(lines(found)))


def lines(found: RunStatus) -> Iterator[str]:
    """The page for a reader."""
    yield f"run          {found.run}" + (f", teacher {found.teacher}" if found.teacher else "")
    yield f"state        {_state(found)}"
    share = found.bytes_done / found.num_bytes if found.num_bytes else 0.0
    yield (
        f"done         {found.shards_done:,} of {plural(found.shards, 'shard')}, "
        f"{byte_text(found.bytes_done)} of {byte_text(found.num_bytes)} ({share:.1%})"
    )
    if found.bytes_per_s is not None:
        left = f", {duration(found.left_s)} left" if found.left_s is not None else ""
        yield f"rate         {byte_text(found.bytes_per_s)}/s lately{left}"
    if found.last_part_s is not None:
        yield f"last part    {_ago(found.last_part_s)}"
    yield from _in_flight(found)
    if found.damaged:
        yield f"damaged      {plural(found.damaged, 'shard')} broke off; what was readable is done"
    for record in found.quarantined[:MAX_SHOWN]:
        yield f"quarantined  {record.get('uri') or record.get('part')}: {record.get('reason')}"
    if len(found.quarantined) > MAX_SHOWN:
        yield f"             and {len(found.quarantined) - MAX_SHOWN:,} more"


def _state(found: RunStatus) -> str:
    driver = found.driver
    if driver is None:
        return found.state
    who = f"process {driver.pid} on {driver.host}"
    if driver.alive:
        return f"{found.state}: {who}, last sign of life {driver.heartbeat_age_s:.0f} s ago"
    again = "; the same command continues it" if found.state == "stopped" else ""
    return f"{found.state}, last driven by {who}{again}"


def _in_flight(found: RunStatus) -> Iterator[str]:
    told = found.in_flight
    if not told or found.state != "running":
        return
    facts = [plural(int(told.get("workers", 0)), "worker")]
    facts += [f"{told[key]} {text}" for key, text in _TOLD.items() if told.get(key)]
    yield f"workers      {', '.join(facts)}"
    slowest = max(told.get("in_flight") or [], key=lambda one: one.get("seconds", 0), default=None)
    if slowest:
        yield (
            f"longest      part {slowest.get('part')} on worker {slowest.get('worker')} "
            f"for {duration(slowest.get('seconds', 0))}"
        )


_TOLD = {"starting": "starting", "waiting": "parts waiting", "repeated": "parts repeated"}


def _ago(at_s: float) -> str:
    return f"{duration(max(0.0, time.time() - at_s))} ago"
