"""The installed command with real worker processes: its exit codes are what scripts rely on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.pools import run_command, write_pool


def score(pool: object, weights: Path, run: Path) -> subprocess.CompletedProcess[str]:
    done = run_command(
        "score", pool, "--teacher", "he/resnet8", "--weights", weights, "--out", run,
        "--actors", 1, "--threads", 1, "--json",
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert json.loads(done.stdout)["exit_code"] == done.returncode
    return done


@pytest.mark.slow
def test_3_with_a_quarantined_and_a_damaged_shard_and_0_once_they_are_mended(
    tmp_path: Path, weights: Path
) -> None:
    pool, run = write_pool(tmp_path / "pool", shards=4, images=8), tmp_path / "run"
    whole = {name: (pool / name).read_bytes() for name in ("shard-001.tar", "shard-002.tar")}
    (pool / "shard-001.tar").write_bytes(b"no tar\n" * 100)
    (pool / "shard-002.tar").write_bytes(whole["shard-002.tar"][:9000])
    broken = score(pool, weights, run)
    assert broken.returncode == 3
    report = json.loads(broken.stdout)
    assert [item["uri"] for item in report["quarantined"]] == [str(pool / "shard-001.tar")]
    assert report["damaged"] == [str(pool / "shard-002.tar")]
    for name, data in whole.items():
        assert name in broken.stderr
        (pool / name).write_bytes(data)
    mended = score(pool, weights, run)
    assert mended.returncode == 0, mended.stderr
    report = json.loads(mended.stdout)
    assert (report["rows"], report["parts_done"], report["parts_kept"]) == (32, 2, 2)
    assert report["statuses"] == {"ok": 32}


@pytest.mark.parametrize(
    ("arguments", "exit_code", "told"),
    [
        (["shards", "verify", "http://127.0.0.1:9/x.tar"], 1, "Cannot connect"),
        (["shards", "info", "nowhere.tar"], 1, "nowhere.tar does not exist"),
        (["query", "nowhere", "SELECT 1"], 2, "holds no tables"),
        (["score", "--colour", "red"], 2, "No such option"),
    ],
)
def test_1_where_a_place_fails_and_2_for_wrong_use(
    arguments: list[str], exit_code: int, told: str
) -> None:
    done = run_command(*arguments)
    assert done.returncode == exit_code
    assert told in done.stderr
    assert "Traceback" not in done.stderr
