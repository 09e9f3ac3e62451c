"""The doctor as it is called: here, and on a real cluster of this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cluster.verbs.doctor import doctor
from tests.support.command import coursepack


def test_this_machine_and_a_place(tmp_path: Path) -> None:
    answer = coursepack("doctor", tmp_path, "--json")
    names = [check["name"] for check in answer.json["checks"]]
    assert f"storage {tmp_path}" in names
    assert answer.exit_code == answer.json["exit_code"]
    assert list(tmp_path.iterdir()) == []


def test_a_problem_is_told_with_its_cure_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = coursepack("doctor", tmp_path / "file" / "run")
    assert answer.exit_code == 1
    assert "problem  storage" in answer.output
    assert "-> " in answer.output


def test_no_cluster_there_is_a_problem_beside_the_other_checks() -> None:
    found = {check.name: check for check in doctor(address="127.0.0.1:1").checks}
    assert found["cluster"].level == "problem"
    assert "nothing listens" in found["cluster"].found
    assert found["code"].level == "ok"


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
def test_every_node_of_a_cluster_is_asked(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the ray extra")
    # In a process of its own: it starts a private cluster of this version, and ends with it.
    program = (
        "import ray, sys\n"
        "from cluster.ray_private import start_private\n"
        "from cluster.verbs.doctor import doctor\n"
        "start_private(ray, num_cpus=1, object_store_memory=80_000_000)\n"
        "report = doctor([sys.argv[1]], address='auto')\n"
        "print(len(report.nodes), {c.name: c.level for c in report.checks})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 {"), done.stdout
    for name in ("cluster", "versions", "code", f"storage {tmp_path}", "clocks"):
        assert f"'{name}': 'ok'" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("mode", "token", "level"),
    [("token", "t" * 64, "ok"), ("", "t" * 64, "warning"), ("token", "", "problem")],
)
def test_the_token_is_a_line_and_its_value_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: str, token: str, level: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    report = doctor(address="127.0.0.1:1")
    (check,) = [check for check in report.checks if check.name == "token"]
    assert check.level == level
    assert token == "" or token not in "\n".join(report.lines())
