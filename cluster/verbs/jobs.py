"""`jobs list|status|logs|stop`: what was submitted to a cluster, and how it fares."""

from __future__ import annotations

from collections.abc import Callable

from cluster.jobs import server

STOP_PATIENCE_S = 30.0
"""A verb that is told to stop finishes writing its table lists first."""


def jobs_list(*, address: str | None = None) -> list[server.Job]:
    """Every job that was submitted to the cluster, the oldest first.

    Raises:
        UsageError, CoursepackError: as for `submit`.
    """
    return server.read_jobs(server.connect(address))


def jobs_status(job_id: str, *, address: str | None = None) -> server.Job:
    """One job as it is now; `status` of its run tells how far the work is.

    Raises:
        UsageError: no such job; else as for `submit`.
        CoursepackError: as for `submit`.
    """
    return server.read_job(server.connect(address), job_id)


def jobs_logs(
    job_id: str, *, address: str | None = None, on_log: Callable[[str], None] | None = None
) -> str:
    """What the job has printed so far; with `on_log`, that and all that follows, until it ends.

    Raises:
        UsageError: no such job; else as for `submit`.
        CoursepackError: as for `submit`.
    """
    client = server.connect(address)
    server.read_job(client, job_id)
    if on_log is not None:
        server.follow(client, job_id, on_log)
    with server.server_errors(client.get_address()):
        return str(client.get_job_logs(job_id))


def jobs_stop(job_id: str, *, address: str | None = None) -> server.Job:
    """Ask a job to stop, and wait a while until it has; the same `submit` continues its work.

    Raises:
        UsageError: no such job; else as for `submit`.
        CoursepackError: as for `submit`.
    """
    client = server.connect(address)
    if server.read_job(client, job_id).status not in server.ENDED:
        with server.server_errors(client.get_address()):
            client.stop_job(job_id)
    return server.wait_until_ended(client, job_id, patience_s=STOP_PATIENCE_S)
