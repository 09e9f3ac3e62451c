"""Jobs on a `ray start --head` cluster with token authentication, end to end."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.support.pools import write_pool, write_teacher
from tests.support.ray_head import BIN, TOKEN, Cluster, ray_head

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.xdist_group("ray")]

pytest.importorskip("ray", reason="needs the ray extra")

SECRET = "wJalrXUtnFEMI-K7MDENG"
SHARDS, IMAGES = 12, 32


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ray_head() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool and a teacher slow enough to be stopped in the middle."""
    folder = tmp_path_factory.mktemp("job")
    write_pool(folder / "pool", shards=SHARDS, images=IMAGES)
    write_teacher(folder / "teacher.safetensors", name="he/resnet56")
    return folder


def score_words(workplace: Path, run: Path) -> list[object]:
    return [
        "score", workplace / "pool", "--teacher", "he/resnet56", "--weights",
        workplace / "teacher.safetensors", "--batch-size", 16, "--actors", 1, "--out", run,
    ]  # fmt: skip


def coursepack(
    cluster: Cluster, *words: object, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "coursepack", *map(str, words)],
        env=cluster.environment | environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def submit(cluster: Cluster, *words: object) -> subprocess.CompletedProcess[str]:
    return coursepack(cluster, "submit", "--", *words)


def jobs(cluster: Cluster) -> list[dict[str, str]]:
    listed: list[dict[str, str]] = json.loads(coursepack(cluster, "jobs", "list", "--json").stdout)[
        "jobs"
    ]
    return listed


def ask_to_stop(cluster: Cluster, job_id: str) -> None:
    request = urllib.request.Request(
        f"{cluster.server}/api/jobs/{job_id}/stop",
        method="POST",
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    urllib.request.urlopen(request, timeout=10).close()


def markers(run: Path) -> int:
    return len(list((run / "ledger").glob("*.json")))


def distill_config(workplace: Path, out: Path) -> dict[str, object]:
    teacher = {"name": "he/resnet56", "weights": str(workplace / "teacher.safetensors")}
    return {
        "teacher": teacher, "student": {"name": "he/resnet8"}, "steps": 2, "batch_size": 8,
        "data": {"train": [str(workplace / "pool")]}, "out": str(out),
        "objective": {"kind": "kd", "temperature": 4.0}, "optimizer": {"kind": "sgd", "lr": 0.01},
    }  # fmt: skip


def test_score_stopped_and_submitted_again_then_distill_then_query(
    cluster: Cluster, workplace: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = score_words(workplace, run)
    earlier = [job["job_id"] for job in jobs(cluster)]  # other tests share the cluster
    begun = coursepack(cluster, "submit", "--json", "--no-wait", "--job-id", "one", "--", *words)
    assert json.loads(begun.stdout)["job_id"] == "one", begun.stderr
    deadline = time.monotonic() + 120
    while not markers(run):
        assert time.monotonic() < deadline, coursepack(cluster, "jobs", "logs", "one").stdout
        time.sleep(0.01)
    ask_to_stop(cluster, "one")  # at once; starting a command would take longer than the work
    stopped = coursepack(cluster, "jobs", "stop", "one")
    assert "one stopped" in stopped.stdout, stopped.stderr
    assert markers(run) < SHARDS, "stopped too late to show anything"

    (tmp_path / "configs").mkdir()
    config = tmp_path / "configs" / "distill.yaml"
    config.write_text(yaml.safe_dump(distill_config(workplace, tmp_path / "student")))
    sql = "SELECT count(*) AS n, count(DISTINCT row_id) AS ids FROM scores"
    with ThreadPoolExecutor() as beside:  # jobs that need nothing of each other: Ray takes its time
        training = beside.submit(
            coursepack,
            cluster, "submit", "--working-dir", config.parent, "--", "distill", "distill.yaml",
        )  # fmt: skip
        again = submit(cluster, *words)
        assert again.returncode == 0, again.stdout + again.stderr
        assert f"{SHARDS * IMAGES} rows ({SHARDS * IMAGES} ok)" in again.stdout
        asking = beside.submit(submit, cluster, "query", run, sql, "--format", "csv")
        plain = subprocess.run(
            [
                BIN / "ray", "job", "submit", "--",
                "coursepack", *map(str, words), "--address", "auto",
            ],
            env=cluster.environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert "nothing to do" in plain.stdout, plain.stdout + plain.stderr
        trained, asked = training.result(), asking.result()
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert (tmp_path / "student" / "student.safetensors").exists()
    rows = SHARDS * IMAGES
    assert f"n,ids\n{rows},{rows}\n" in asked.stdout.replace('"', ""), asked.stdout

    ours = [job for job in jobs(cluster) if job["job_id"] not in earlier]
    assert [job["status"] for job in ours] == ["STOPPED", *["SUCCEEDED"] * 4]


def test_the_exit_code_is_that_of_the_verb_and_code_can_be_shipped(
    cluster: Cluster, workplace: Path, tmp_path: Path
) -> None:
    pool = write_pool(tmp_path / "pool", shards=1, images=4)
    (pool / "bad.tar").write_bytes(b"no tar" * 1000)
    weights = write_teacher(tmp_path / "teacher.safetensors")
    done = coursepack(
        cluster, "submit", "--ship-code", "--", "score", pool, "--teacher", "he/resnet8",
        "--weights", weights, "--out", tmp_path / "run", "--executor", "local", "--actors", 1,
        AWS_SECRET_ACCESS_KEY=SECRET,
    )  # fmt: skip
    assert done.returncode == 3, done.stdout + done.stderr
    assert "bad.tar" in done.stdout
    assert "python -m cluster.cli.main score" in done.stdout
    _assert_no_secret(cluster.folder)
    _assert_no_secret(tmp_path)


def _assert_no_secret(folder: Path) -> None:
    """Neither a run nor any log of the cluster holds what a client had in its environment."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            assert SECRET.encode() not in content, path
            assert TOKEN.encode() not in content, path


def test_without_the_token_the_message_says_how_to_give_it(
    cluster: Cluster, workplace: Path, tmp_path: Path
) -> None:
    words = score_words(workplace, tmp_path / "run")
    with ThreadPoolExecutor() as beside:
        # Ray tries to join once a second, twenty times unless it is told otherwise.
        joining = beside.submit(
            coursepack,
            cluster, *words, "--address", cluster.address,
            RAY_AUTH_TOKEN="wrong" * 10, RAY_NUM_REDIS_GET_RETRIES="2",
        )  # fmt: skip
        wrong = coursepack(cluster, "submit", "--", *words, RAY_AUTH_TOKEN="wrong" * 10)
        none = coursepack(cluster, "jobs", "list", RAY_AUTH_TOKEN="", HOME=str(tmp_path))
        driver = joining.result()
    assert wrong.returncode == 1
    assert "refused the token: the token was taken from RAY_AUTH_TOKEN" in wrong.stderr
    assert none.returncode == 1
    assert "no token was found here" in none.stderr
    assert driver.returncode == 1
    assert "RAY_AUTH_TOKEN" in driver.stderr
    for told in (wrong, none, driver):
        assert "Traceback" not in told.stderr
        assert "wrongwrong" not in told.stderr
    assert not os.path.exists(tmp_path / "run" / "scores")
