"""`submit`: a verb as a job on a Ray cluster."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from cluster.jobs import server
from cluster.jobs.arguments import check_verb
from cluster.jobs.package import package


def submit(
    words: Sequence[str],
    *,
    address: str | None = None,
    job_id: str | None = None,
    working_dir: str | None = None,
    ship_code: bool = False,
    on_log: Callable[[str], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> server.Job:
    """Run a verb of coursepack on a cluster, as a job that outlives this process.

    Submitting the same words again is safe: what is done is in the run, one driver at a time works
    on it, and the next one continues.

    Args:
        words: The verb and its arguments.
        address: The job server, `http://HOST:8265`; None = as the environment says, or here.
        job_id: Name of the job; None = chosen by Ray.
        working_dir: Folder whose small files the job finds in its current directory.
        ship_code: Bring coursepack's own source along.
        on_log: Called with the job's output as it appears, and `submit` returns when the job has
            ended; None = return at once.
        on_note: Called with what was added to the words or left out of the package, and with the
            job's id.

    Raises:
        UsageError: no verb, wrong options, relative paths, secrets in URIs, no Ray here.
        CoursepackError: nothing listens there, or the token is refused.
    """
    tell = on_note or _ignore
    verb = check_verb(words, shipped=Path(working_dir).expanduser() if working_dir else None)
    for note in verb.notes:
        tell(note)
    client = server.connect(address)
    program = "python -m cluster.cli.main" if ship_code else "coursepack"
    with package(working_dir=working_dir, ship_code=ship_code) as packed:
        if packed.left_out:
            tell(f"left out of the package: {', '.join(packed.left_out[:5])}")
        job_id = server.submit(
            client,
            f"{program} {shlex.join(verb.words)}",
            runtime_env=packed.runtime_env,
            job_id=job_id,
        )
    tell(f"job {job_id} is submitted to {client.get_address()}")
    if on_log is None:
        return server.read_job(client, job_id)
    return server.follow(client, job_id, on_log)


def _ignore(_: str) -> None:
    """The note callback of a caller that gave none."""
