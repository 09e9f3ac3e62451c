"""`ray job submit` against a `ray start --head` cluster with token authentication."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pools import table_hashes, write_pool, write_teacher

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.xdist_group("ray")]

pytest.importorskip("ray", reason="needs the ray extra")

BIN = Path(sys.executable).parent
PORT, DASHBOARD, TOKEN = 6399, 8299, "t" * 64


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Environment of a client of a one-node cluster that asks for a token."""
    environment = os.environ | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{DASHBOARD}",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    environment.pop("RAY_ADDRESS", None)
    start = [
        BIN / "ray", "start", "--head", "--num-cpus=2", f"--port={PORT}",
        f"--dashboard-port={DASHBOARD}", "--object-store-memory=80000000",
        "--disable-usage-stats", f"--temp-dir={tmp_path_factory.mktemp('r')}",
    ]  # fmt: skip
    subprocess.run(start, env=environment, check=True, capture_output=True, timeout=120)
    try:
        yield environment
    finally:
        subprocess.run([BIN / "ray", "stop"], env=environment, capture_output=True, timeout=120)


def submit(
    environment: dict[str, str], folder: Path, *arguments: object
) -> subprocess.CompletedProcess[str]:
    words = [BIN / "ray", "job", "submit", "--working-dir", folder, "--", "coursepack"]
    return subprocess.run(
        [*words, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=300
    )


def test_a_submitted_job_scores_and_submitting_again_continues(
    cluster: dict[str, str], tmp_path: Path
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


def test_output_that_ray_would_delete_is_refused(cluster: dict[str, str], tmp_path: Path) -> None:
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
    cluster: dict[str, str], tmp_path: Path
) -> None:
    wait_for_dashboard()
    pool = write_pool(tmp_path / "pool", shards=1, images=2)
    weights = write_teacher(tmp_path / "teacher.safetensors")
    done = subprocess.run(
        [
            BIN / "coursepack", "score", pool, "--teacher", "he/resnet8", "--weights", weights,
            "--out", tmp_path / "run", "--address", f"127.0.0.1:{PORT}",
        ],
        env=cluster | {"RAY_AUTH_TOKEN": "wrong" * 10}, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 1
    assert "RAY_AUTH_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


def wait_for_dashboard() -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{DASHBOARD}/api/version", timeout=1)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
