"""The talk with Ray's job server; its dozen kinds of refusal become one message with a cure."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cluster.ray_token import HOW_TO_GIVE, describe_source, token_source
from shards.credentials import refuse_credentials
from shards.errors import CoursepackError, UsageError

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
CONNECT_TIMEOUT_S = 5.0
AGENT_PATIENCE_S = 120.0
POLL_S = 0.5

ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})


@dataclass(frozen=True)
class Job:
    """A job as the server knows it.

    Attributes:
        status: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
        driver_exit_code: Of the verb; None while it runs, or if it never started.
        message: What Ray says about it.
        started_s, ended_s: Seconds since 1970; None if it has not.
    """

    job_id: str
    status: str
    entrypoint: str
    driver_exit_code: int | None
    message: str
    started_s: float | None
    ended_s: float | None

    @property
    def exit_code(self) -> int:
        """What `submit` ends with: that of the verb, 1 if it was stopped or never ran."""
        if self.status == "SUCCEEDED" or self.status not in ENDED:
            return 0
        return self.driver_exit_code if self.driver_exit_code in (1, 2, 3, 130) else 1


def server_address(address: str | None) -> str:
    """The address that is meant: as given, else of the environment as Ray reads it, else here."""
    named = address or os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS")
    if not named or named in ("auto", "local"):
        return DEFAULT_ADDRESS
    refuse_credentials(named)
    if not named.startswith(("http://", "https://")):
        raise UsageError(
            f"{named} is no address of a job server; expected http://HOST:8265 (the dashboard's)"
        )
    return named.rstrip("/")


def connect(address: str | None) -> Any:
    """A `JobSubmissionClient` of the cluster at `address`.

    Raises:
        UsageError: Ray is not installed; no such address can be.
        CoursepackError: nothing answers there, or it refuses the token.
    """
    try:
        from ray.job_submission import JobSubmissionClient
    except ImportError as error:
        raise UsageError("submitting needs Ray here too: pip install 'coursepack[ray]'") from error
    # Ray tells of every upload and closed connection; what matters is an exception or a status.
    logging.getLogger("ray").setLevel(logging.WARNING)
    url = server_address(address)
    _refuse_silence(url)
    if token_source().source:  # Ray sends a token only if the mode is set, or it starts a cluster
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    with server_errors(url):
        return JobSubmissionClient(url)


@contextmanager
def server_errors(url: str) -> Iterator[None]:
    """Raise `CoursepackError` in place of what Ray's client raises."""
    from ray.exceptions import AuthenticationError

    try:
        yield
    except AuthenticationError as error:
        raise CoursepackError(
            f"the cluster at {url} refused the token: {describe_source(token_source())}; "
            f"{HOW_TO_GIVE}"
        ) from error
    except (ConnectionError, OSError) as error:
        raise CoursepackError(f"the job server at {url} does not answer ({error})") from error
    except RuntimeError as error:
        text = str(error)
        if "404" in text or "not found" in text.lower() or "does not exist" in text:
            raise UsageError(
                f"the cluster at {url} knows no such job; `coursepack jobs list` names them"
            ) from error
        raise CoursepackError(f"the job server at {url} answers: {_short(text)}") from error


def submit(client: Any, entrypoint: str, *, runtime_env: dict[str, Any], job_id: str | None) -> str:
    """Hand over a job; waits for a node that has only just started. Returns the job's id."""
    deadline = time.monotonic() + AGENT_PATIENCE_S
    while True:
        try:
            with server_errors(client.get_address()):
                return str(
                    client.submit_job(
                        entrypoint=entrypoint, runtime_env=runtime_env, submission_id=job_id
                    )
                )
        except CoursepackError as error:
            # The server answers before the agent of its node has registered with it.
            if "No available agent" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)


def read_job(client: Any, job_id: str) -> Job:
    """The job as it is now.

    Raises:
        UsageError: no such job.
    """
    with server_errors(client.get_address()):
        return _job(client.get_job_info(job_id))


def read_jobs(client: Any) -> list[Job]:
    """Jobs that were submitted, the oldest first; what connected in other ways is no job."""
    with server_errors(client.get_address()):
        found = [_job(info) for info in client.list_jobs() if info.submission_id]
    return sorted(found, key=lambda job: job.started_s or 0.0)


def follow(client: Any, job_id: str, on_log: Callable[[str], None]) -> Job:
    """Pass the job's output on as it appears, until the job has ended; returns how it ended."""

    async def pass_on() -> None:
        async for text in client.tail_job_logs(job_id):
            on_log(text)

    with server_errors(client.get_address()):
        asyncio.run(pass_on())
    while True:  # the log may end a moment before the status is written
        job = read_job(client, job_id)
        if job.status in ENDED:
            return job
        time.sleep(POLL_S)


def wait_until_ended(client: Any, job_id: str, *, patience_s: float) -> Job:
    """The job once it has ended, or as it is after `patience_s` seconds."""
    deadline = time.monotonic() + patience_s
    while True:
        job = read_job(client, job_id)
        if job.status in ENDED or time.monotonic() > deadline:
            return job
        time.sleep(POLL_S)


def _refuse_silence(url: str) -> None:
    """Ask first, because Ray itself would try for long where nothing listens."""
    place = urlsplit(url)
    port = place.port or (443 if place.scheme == "https" else 80)
    try:
        socket.create_connection((place.hostname or "", port), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise CoursepackError(
            f"nothing listens at {url} ({error}); give the address of the cluster's dashboard, "
            "such as --address http://127.0.0.1:8265. From outside, forward the port: "
            "ssh -L 8265:127.0.0.1:8265 HEAD, or kubectl port-forward svc/NAME-head-svc 8265"
        ) from error


def _job(info: Any) -> Job:
    status = getattr(info.status, "value", info.status)
    return Job(
        job_id=str(info.submission_id or info.job_id),
        status=str(status),
        entrypoint=str(info.entrypoint),
        driver_exit_code=getattr(info, "driver_exit_code", None),
        message=_short(info.message or ""),
        started_s=info.start_time / 1000 if info.start_time else None,
        ended_s=info.end_time / 1000 if info.end_time else None,
    )


def _short(text: str) -> str:
    """The first line without the logs that Ray appends, which `jobs logs` shows."""
    return (text.strip().splitlines() or [""])[0].partition(", last available logs")[0][:400]
