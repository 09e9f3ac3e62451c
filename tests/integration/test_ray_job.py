"""`ray job submit` against a `ray start --head` cluster with token authentication."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.pools import table_hashes, write_pool, write_teacher

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.xdist_group("ray")]

pytest.importorskip("ray", reason="needs the ray extra")

BIN = Path(sys.executable).parent
TOKEN = "t" * 64


@dataclass(frozen=True)
class Cluster:
    """A one-node cluster that asks for a token, and the environment of a client that has it."""

    address: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """`ray start --head --block` on free ports: ended alone, whatever else runs on the machine."""
    port, dashboard = free_port(), free_port()
    environment = os.environ | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    environment.pop("RAY_ADDRESS", None)
    log = tmp_path_factory.mktemp("ray") / "head.log"
    start = [
        BIN / "ray", "start", "--head", "--block", "--num-cpus=2", f"--port={port}",
        f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={free_port()}",
        f"--dashboard-agent-grpc-port={free_port()}", "--object-store-memory=80000000",
        "--disable-usage-stats", f"--temp-dir={tempfile.mkdtemp(prefix='cp-', dir='/tmp')}",
    ]  # fmt: skip
    with log.open("wb") as output:
        head = subprocess.Popen(
            start, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_for_jobs(environment["RAY_API_SERVER_ADDRESS"], head, log)
        yield Cluster(f"127.0.0.1:{port}", environment)
    finally:
        head.terminate()  # the blocking head ends the processes it started
        try:
            head.wait(timeout=30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(head.pid, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_jobs(server: str, head: subprocess.Popen[bytes], log: Path) -> None:
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


def submit(cluster: Cluster, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    words = [BIN / "ray", "job", "submit", "--working-dir", folder, "--", "coursepack"]
    deadline = time.monotonic() + 120
    while True:
        done = subprocess.run(
            [*words, *map(str, arguments)],
            env=cluster.environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        # The job server answers before the node's agent has registered with it.
        if "No available agent" not in done.stderr or time.monotonic() > deadline:
            return done
        time.sleep(0.5)


def test_a_submitted_job_scores_and_submitting_again_continues(
    cluster: Cluster, tmp_path: Path
) -> None:
    pool = write_pool(tmp_path / "pool", shards=3, images=20)
    weights = write_teacher(tmp_path / "teacher.safetensors")
    (tmp_path / "job").mkdir()
    score = [
        "score", pool, "--teacher", "he/resnet8", "--weights", weights, "--batch-size", 16,
    ]  # fmt: skip
    arguments = [*score, "--address", "auto", "--out", tmp_path / "run"]
    first = submit(cluster, tmp_path / "job", *arguments)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "60 rows (60 ok)" in first.stdout
    again = submit(cluster, tmp_path / "job", *arguments)
    assert "nothing to do: every part is done" in again.stdout
    local = subprocess.run(
        [BIN / "coursepack", *map(str, score), "--out", tmp_path / "local"], capture_output=True
    )
    assert local.returncode == 0
    assert table_hashes(tmp_path / "run") == table_hashes(tmp_path / "local")


def test_output_that_ray_would_delete_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    pool = write_pool(tmp_path / "pool", shards=1, images=2)
    weights = write_teacher(tmp_path / "teacher.safetensors")
    (tmp_path / "job").mkdir()
    done = submit(
        cluster, tmp_path / "job", "score", pool, "--teacher", "he/resnet8", "--weights", weights,
        "--address", "auto", "--out", "run",
    )  # fmt: skip
    assert done.returncode != 0
    assert "shared storage" in done.stdout + done.stderr


def test_without_the_token_the_message_says_how_to_give_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    pool = write_pool(tmp_path / "pool", shards=1, images=2)
    weights = write_teacher(tmp_path / "teacher.safetensors")
    done = subprocess.run(
        [
            BIN / "coursepack", "score", pool, "--teacher", "he/resnet8", "--weights", weights,
            "--out", tmp_path / "run", "--address", cluster.address,
        ],
        env=cluster.environment | {"RAY_AUTH_TOKEN": "wrong" * 10},
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 1
    assert "RAY_AUTH_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr
