"""Secrets stay where they are, nothing listens, and data is never run as code."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.command import coursepack, score
from tests.support.pools import start_command, write_pool, write_teacher

SECRET = "wJalrXUtnFEMI-K7MDENG"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("security")
    write_pool(folder / "pool", shards=2, images=8)
    write_teacher(folder / "t.safetensors")
    return folder


def files_with_secret(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ]


def test_what_the_environment_holds_is_in_no_file_of_a_run_and_no_message(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "RAY_AUTH_TOKEN", "HF_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    run = tmp_path / "run"
    told = [
        score(place / "pool", place / "t.safetensors", run),
        coursepack("select", run, "--recipe", "dfnd", "--n", 3, "--name", "x"),
        coursepack("report", run, "--selection", "x"),
        coursepack("status", run, "--json"),
        coursepack("doctor", run, "--json"),
        coursepack("export", run, "--selection", "x", "--out", tmp_path / "out"),
        score(place / "gone", place / "t.safetensors", run),
    ]
    assert [answer.exit_code for answer in told[:3]] == [0, 0, 0], told
    assert files_with_secret(tmp_path) == []
    assert all(SECRET not in answer.output + answer.errors for answer in told)


@pytest.mark.parametrize(
    "uri",
    [f"s3://AKIA:{SECRET}@bucket/pool", f"https://user:{SECRET}@127.0.0.1:1/pool/a.tar"],
)
def test_a_secret_in_a_uri_is_refused_by_every_verb_before_anything_is_written(
    place: Path, tmp_path: Path, uri: str
) -> None:
    run, weights = tmp_path / "run", place / "t.safetensors"
    config = tmp_path / "score.yaml"
    config.write_text(f"pool: ['{uri}']\nout: {run}\nteacher: {{name: he/resnet8}}\n")
    answers = [
        score(uri, weights, run),
        score(place / "pool", f"{uri}/t.safetensors", run),
        score(place / "pool", weights, uri),
        coursepack("score", "--config", config),
        coursepack("plan", uri, "--teacher", "he/resnet8", "--out", run),
        coursepack("shards", "info", uri),
        coursepack("status", uri),
        coursepack("submit", "--", "score", uri, "--teacher", "he/resnet8", "--out", "/run"),
    ]
    config.unlink()
    for number, answer in enumerate(answers):
        assert answer.exit_code == 2, (number, answer)
        assert SECRET not in answer.output + answer.errors, number
        assert "***@" in answer.errors, number
    assert files_with_secret(tmp_path) == []


def listening(pids: set[int]) -> set[str]:
    """Local addresses on which these processes listen, from /proc alone."""
    inodes = set()
    for pid in pids:
        try:
            for entry in os.scandir(f"/proc/{pid}/fd"):
                link = os.readlink(entry.path)
                if link.startswith("socket:["):
                    inodes.add(link[8:-1])
        except OSError:
            continue  # it has ended
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(fields[1])
    return found


def family(pid: int) -> set[int]:
    """A process and everything that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    if not children.exists():
        return {pid}
    return {pid}.union(*(family(int(child)) for child in children.read_text().split()))


@pytest.mark.slow
def test_a_local_run_listens_nowhere(place: Path, tmp_path: Path) -> None:
    with start_command(
        "score", place / "pool", "--teacher", "he/resnet8", "--weights", place / "t.safetensors",
        "--out", tmp_path / "run", "--actors", 2, "--threads", 1,
    ) as driver:  # fmt: skip
        seen: set[str] = set()
        processes: set[int] = set()
        while driver.poll() is None:
            processes |= (now := family(driver.pid))
            seen |= listening(now)
            time.sleep(0.2)
        _, errors = driver.communicate()
    assert driver.returncode == 0, errors
    assert len(processes) >= 3, "the workers were looked at too"
    assert seen == set()


def test_sigterm_gives_the_lock_back(place: Path, tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from cluster.run_lock import RunLock\n"
        "from cluster.cli import main\n"
        "main.app = lambda **_: hold()\n"
        "def hold():\n"
        "    with RunLock(sys.argv[1]):\n"
        "        print('held', flush=True)\n"
        "        time.sleep(60)\n"
        "main.main()\n"
    )
    lock = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(lock)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.send_signal(signal.SIGTERM)
    (file,) = lock.iterdir()
    assert '"released": true' in file.read_text()


def test_weights_configs_and_recipes_are_never_run(place: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, (f"touch {mark}",)

    weights = tmp_path / "evil.pt"
    weights.write_bytes(pickle.dumps({"state_dict": Evil()}))
    assert score(place / "pool", weights, tmp_path / "a").exit_code == 2
    config = tmp_path / "evil.yaml"
    config.write_text(f"pool: !!python/object/apply:os.system ['touch {mark}']\n")
    assert coursepack("score", "--config", config).exit_code == 2
    builder = coursepack(
        "score", place / "pool", "--teacher", "py:os:system", "--out", tmp_path / "b"
    )
    assert builder.exit_code == 2
    assert "--allow-code" in builder.errors
    recipe = tmp_path / "evil-recipe.yaml"
    recipe.write_text(f"name: x\nsteps: !!python/object/apply:os.system ['touch {mark}']\n")
    assert coursepack("select", tmp_path, "--recipe", recipe, "--name", "x").exit_code == 2
    assert not mark.exists()
