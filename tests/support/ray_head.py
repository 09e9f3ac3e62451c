"""A real one-node cluster with token authentication, as `ray start --head` makes it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
TOKEN = "t" * 64


@dataclass(frozen=True)
class Cluster:
    """A cluster that asks for a token, and the environment of a client that has it."""

    address: str
    server: str
    environment: dict[str, str]
    folder: Path
    """Where it keeps its logs; gone afterwards."""


@contextmanager
def ray_head() -> Iterator[Cluster]:
    """`ray start --head --block` on free ports: ended alone, whatever else runs on the machine."""
    port, dashboard = free_port(), free_port()
    environment = os.environ | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    environment.pop("RAY_ADDRESS", None)
    folder = Path(tempfile.mkdtemp(prefix="cp-", dir="/tmp"))  # sockets want a short path
    log = folder / "head.log"
    start = [
        BIN / "ray", "start", "--head", "--block", "--num-cpus=2", f"--port={port}",
        f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={free_port()}",
        f"--dashboard-agent-grpc-port={free_port()}", "--object-store-memory=80000000",
        "--disable-usage-stats", f"--temp-dir={folder}",
    ]  # fmt: skip
    with log.open("wb") as output:
        head = subprocess.Popen(
            start, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    server = environment["RAY_API_SERVER_ADDRESS"]
    try:
        _wait_for_jobs(server, head, log)
        yield Cluster(f"127.0.0.1:{port}", server, environment, folder)
    finally:
        head.terminate()  # the blocking head ends the processes it started
        try:
            head.wait(timeout=30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(head.pid, signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_jobs(server: str, head: subprocess.Popen[bytes], log: Path) -> None:
    """Until the job server answers a client with the token."""
    request = urllib.request.Request(
        f"{server}/api/jobs/", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    deadline = time.monotonic() + 120
    while head.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=2):
            return
        time.sleep(0.2)
    raise AssertionError(f"the cluster did not come up: {log.read_text()}")
