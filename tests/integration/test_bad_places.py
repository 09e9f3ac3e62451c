"""Places that are not there, do not answer, or cannot be written: exit codes and cures."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.retry import MAX_STORAGE_TRIES
from tests.support.command import Answer, coursepack, score
from tests.support.pools import write_pool
from tests.support.servers import http_folder

NOBODY = "http://127.0.0.1:9"
"""The discard port: nothing listens there."""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """A pool, a run with a selection, and the configuration of a training on the pool."""
    folder = tmp_path_factory.mktemp("places")
    write_pool(folder / "pool", shards=2, images=6)
    assert score(folder / "pool", weights, folder / "run").exit_code == 0
    assert coursepack("select", folder / "run", "--recipe", "everything").exit_code == 0
    (folder / "distill.yaml").write_text(
        f"teacher: {{name: he/resnet8, weights: {weights}}}\nstudent: {{name: he/resnet8}}\n"
        f"data: {{train: [{folder / 'pool'}]}}\nobjective: {{kind: kd}}\n"
        "batch_size: 4\nsteps: 1\nout: student\n"
    )
    return folder


@pytest.mark.parametrize(
    ("pool", "exit_code", "told"),
    [
        ("{here}/nowhere", 1, "{here}/nowhere does not exist; check the path"),
        ("{here}/nowhere.tar", 1, "{here}/nowhere.tar does not exist"),
        ("{here}/run/ledger", 1, "no .tar, .tar.gz or .tgz file there"),
        ("{here}/pool/*.zip", 1, "{here}/pool/*.zip: no .tar"),
        ("{here}/pool/shard-{{000..002}}.tar", 1, "shard-002.tar does not exist"),
        ("{here}/pool/shard-{{000", 2, "opening brace"),
        ("{here}/distill.yaml", 2, "is no shard"),
        (f"{NOBODY}/x.tar", 1, "Cannot connect to host 127.0.0.1:9"),
        (f"{NOBODY}/pool/", 1, "check that the place is reachable"),
        ("ftp://host/x.tar", 2, "unknown scheme"),
    ],
)
def test_a_pool_that_cannot_be_listed(
    workplace: Path, weights: Path, tmp_path: Path, pool: str, exit_code: int, told: str
) -> None:
    answer = score(pool.format(here=workplace), weights, tmp_path / "run")
    assert answer.exit_code == exit_code
    assert told.format(here=workplace) in answer.json["error"]["message"]
    assert not (tmp_path / "run").exists(), "nothing is begun"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("pool/missing.tar", "does not exist"),
        ("_status/403/x.tar", "check permissions and credentials"),
        ("_status/500/x.tar", "try again later"),
    ],
)
def test_a_server_that_refuses(
    workplace: Path, weights: Path, tmp_path: Path, path: str, told: str
) -> None:
    with http_folder(workplace) as address:
        answer = score(f"{address}/{path}", weights, tmp_path / "run")
    assert answer.exit_code == 1
    assert f"{address}/{path}" in answer.json["error"]["message"]
    assert told in answer.json["error"]["message"]


def test_a_connection_that_breaks_off_is_tried_again_and_then_quarantined(
    workplace: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.backlog.pause_s", lambda failure, tries: 0.0)
    with http_folder(workplace) as address:
        answer = score(f"{address}/_cut/pool/shard-000.tar", weights, tmp_path / "run")
    assert answer.exit_code == 3
    (lost,) = answer.json["quarantined"]
    assert lost["tries"] == MAX_STORAGE_TRIES
    assert lost["uri"] == f"{address}/_cut/pool/shard-000.tar"
    assert answer.json["damaged"] == [], "a lost connection is no truncated shard"
    assert answer.json["rows"] == 0


def test_a_pool_behind_a_server_that_is_gone(
    workplace: Path, weights: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with http_folder(workplace) as address:
        assert score(f"{address}/pool/", weights, run).exit_code == 0
    assert coursepack("select", run, "--recipe", "everything").exit_code == 0
    command = ("--selection", "everything")
    exported = coursepack("export", run, *command, "--out", tmp_path / "out")
    assert exported.exit_code == 1
    assert f"{address}/pool/shard-000.tar" in exported.errors
    report = coursepack("report", run, *command, "--json")
    assert report.exit_code == 0
    assert len(report.json["warnings"]) == 2


def test_a_cloud_that_does_not_answer(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOBODY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    answer = score("s3://bucket/x.tar", weights, tmp_path / "run")
    assert answer.exit_code == 1
    assert "s3://bucket/x.tar" in answer.json["error"]["message"]
    assert "check that the place is reachable" in answer.json["error"]["message"]


def all_writers(workplace: Path, weights: Path, out: object) -> dict[str, Answer]:
    """What every verb answers that is to write to `out`."""
    pool, run, chosen = workplace / "pool", workplace / "run", ("--selection", "everything")
    return {
        "score": score(pool, weights, out),
        "build": coursepack("shards", "build", pool, "--out", out),
        "resize": coursepack("shards", "resize", pool, "--exact", 8, "--out", out),
        "export": coursepack("export", run, *chosen, "--out", out),
        "distill": coursepack("distill", workplace / "distill.yaml", "--out", out),
        "report": coursepack("report", run, *chosen, "--out", f"{out}/r.html"),
        "query": coursepack("query", run, "SELECT 1", "--out", f"{out}/a.csv"),
    }


def test_an_out_that_is_a_file(workplace: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"mine")
    for verb, answer in all_writers(workplace, weights, out).items():
        assert answer.exit_code == (2 if verb in ("score", "export") else 1), verb
        assert str(out) in answer.errors, verb
    assert out.read_bytes() == b"mine"


def test_an_out_that_holds_something_else(workplace: Path, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    for answer in (
        score(workplace / "pool", weights, tmp_path),
        coursepack("export", workplace / "run", "--selection", "everything", "--out", tmp_path),
    ):
        assert answer.exit_code == 2
        assert "thesis.txt" in answer.errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thesis.txt"]


def test_an_out_on_the_web(workplace: Path, weights: Path) -> None:
    for verb, answer in all_writers(workplace, weights, f"{NOBODY}/out").items():
        assert answer.exit_code == 2, verb
        expected = "expected a local folder" if verb == "distill" else "read only"
        assert expected in answer.errors, verb


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that not even root can write to."""
    folder = tmp_path / "read_only"
    folder.mkdir()
    if os.geteuid():
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_an_out_that_is_read_only(workplace: Path, weights: Path, read_only: Path) -> None:
    for verb, answer in all_writers(workplace, weights, read_only / "out").items():
        assert answer.exit_code == 1, verb
        assert str(read_only / "out") in answer.errors, verb
        assert "reachable" not in answer.errors, verb


def test_what_is_no_run(workplace: Path, tmp_path: Path) -> None:
    for run in (tmp_path / "nowhere", tmp_path, workplace / "pool"):
        for command in (
            ("query", run, "SELECT 1"),
            ("select", run, "--recipe", "everything"),
            ("explain", run, "key", "--selection", "s"),
            ("report", run, "--selection", "s"),
            ("export", run, "--selection", "s", "--out", tmp_path / "out"),
        ):
            answer = coursepack(*command)
            assert answer.exit_code == 2, command
            assert str(run) in answer.errors
            assert "coursepack" in answer.errors, "says how to make one"
