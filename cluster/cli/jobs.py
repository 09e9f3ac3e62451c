"""`coursepack jobs list|status|logs|stop`: what was submitted, and how it fares."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.cli.options import AsJson, Debug, example
from cluster.cli.output import command
from cluster.cli.submit import JobServer, log_to
from cluster.cli.text import printable, without_colours
from cluster.cli.units import duration

if TYPE_CHECKING:
    from cluster.jobs.server import Job

app = typer.Typer(no_args_is_help=True, help="Look after jobs that were submitted to a cluster.")

_JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of a job, as submit printed it.")]


@app.command("list", epilog=example("coursepack jobs list --address http://head:8265"))
def list_jobs(address: JobServer = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """List the jobs of a cluster: status, time, exit code, command."""
    with command("jobs list", as_json=as_json, debug=debug) as output:
        from cluster.cli.tables import text_table
        from cluster.verbs.jobs import jobs_list

        jobs = jobs_list(address=address)
        table = text_table(("job", "status", "time", "exit", "command"), map(_row, jobs))
        output.finish({"jobs": jobs}, text=[table if jobs else "no job was submitted"])


@app.command(epilog=example("coursepack jobs status raysubmit_nTEvAxY546jhgQQJ"))
def status(
    job: _JobId, address: JobServer = None, as_json: AsJson = False, debug: Debug = False
) -> None:
    """Tell how a job fares; `coursepack status RUN` tells how far its work is."""
    with command("jobs status", as_json=as_json, debug=debug) as output:
        from cluster.verbs.jobs import jobs_status

        found = jobs_status(job, address=address)
        output.finish(found, text=_lines(found))


@app.command(epilog=example("coursepack jobs logs raysubmit_nTEvAxY546jhgQQJ --follow"))
def logs(
    job: _JobId,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the job ends.")] = False,
    address: JobServer = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what a job has printed."""
    with command("jobs logs", as_json=as_json, debug=debug) as output:
        from cluster.verbs.jobs import jobs_logs

        shown = log_to(output) if follow else None
        text = jobs_logs(job, address=address, on_log=shown)
        output.finish(
            {"job_id": job, "logs": text},
            text=[] if follow else [without_colours(text).rstrip("\n")],
        )


@app.command(epilog=example("coursepack jobs stop raysubmit_nTEvAxY546jhgQQJ"))
def stop(
    job: _JobId, address: JobServer = None, as_json: AsJson = False, debug: Debug = False
) -> None:
    """Stop a job; the same submit command continues its work later."""
    with command("jobs stop", as_json=as_json, debug=debug) as output:
        from cluster.verbs.jobs import jobs_stop

        found = jobs_stop(job, address=address)
        output.finish(found, text=_lines(found))


def _lines(job: Job) -> list[str]:
    code = "" if job.driver_exit_code is None else f", exit code {job.driver_exit_code}"
    rows = [f"{job.job_id} {job.status.lower()}{code}, {_time(job)}", f"$ {job.entrypoint}"]
    return [*rows, printable(job.message)] if job.message else rows


def _row(job: Job) -> Iterator[Any]:
    yield from (job.job_id, job.status.lower(), _time(job), job.driver_exit_code, job.entrypoint)


def _time(job: Job) -> str:
    if job.started_s is None:
        return "not started"
    return duration((job.ended_s or time.time()) - job.started_s)
