"""Scoring in real processes that are killed, interrupted, doubled: nothing lost or twice.

A driver that is to be disturbed is a process of its own. One that only runs to its end works inside
the test, and spares the import of torch; its workers are processes all the same.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from selector.tables.layout import RunLayout
from selector.tables.read import read
from tests.support.command import coursepack
from tests.support.pools import (
    start_command,
    table_hashes,
    write_pool,
    write_shard,
    write_teacher,
)

SHARDS, IMAGES = 6, 32

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("survive")]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool, a teacher slow enough to be interrupted, and the undisturbed run to compare with."""
    folder = tmp_path_factory.mktemp("survive")
    write_pool(folder / "pool", shards=SHARDS, images=IMAGES)
    write_teacher(folder / "teacher.safetensors", name="he/resnet56")
    done = coursepack(*score_arguments(folder, folder / "undisturbed"))
    assert done.exit_code == 0, done.errors
    return folder


def score_arguments(workplace: Path, run: Path, *, actors: int = 1) -> list[object]:
    return [
        "score", workplace / "pool", "--teacher", "he/resnet56",
        "--weights", workplace / "teacher.safetensors", "--out", run,
        "--actors", actors, "--threads", 1, "--batch-size", 16, "--json",
    ]  # fmt: skip


def markers(run: Path) -> int:
    return len(list((run / "ledger").glob("*.json")))


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the run makes no progress"
        time.sleep(0.005)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def assert_undisturbed(workplace: Path, run: Path) -> None:
    assert table_hashes(run) == table_hashes(workplace / "undisturbed")
    assert len(read(RunLayout(str(run)), "scores")) == SHARDS * IMAGES
    assert not list(run.rglob("*.tmp")), "killed workers leave nothing behind"


@pytest.mark.parametrize("actors", [2, 4])
def test_any_number_of_workers_writes_the_same_bytes(
    workplace: Path, tmp_path: Path, actors: int
) -> None:
    done = coursepack(*score_arguments(workplace, tmp_path / "run", actors=actors))
    assert done.exit_code == 0, done.errors
    assert_undisturbed(workplace, tmp_path / "run")


def test_a_second_call_rewrites_nothing(workplace: Path) -> None:
    run = workplace / "undisturbed"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.parquet")}
    done = coursepack(*score_arguments(workplace, run))
    assert done.exit_code == 0
    report = done.json
    assert (report["parts_done"], report["parts_kept"]) == (0, SHARDS)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*.parquet")} == before


def test_kill_9_of_the_driver_then_the_same_command(workplace: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with start_command(*score_arguments(workplace, run)) as driver:
        wait_until(lambda: markers(run) >= 2, driver)
        driver.kill()
    assert markers(run) < SHARDS, "killed too late to show anything"
    done = coursepack(*score_arguments(workplace, run))
    assert done.exit_code == 0, done.errors
    report = done.json
    assert report["parts_kept"] >= 2
    assert report["parts_done"] + report["parts_kept"] == SHARDS
    assert_undisturbed(workplace, run)


def test_kill_9_of_the_workers_goes_unnoticed_in_the_tables(
    workplace: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with start_command(*score_arguments(workplace, run, actors=2)) as driver:
        wait_until(lambda: markers(run) >= 2, driver)
        for worker in children(driver.pid):  # all, so that one is sure to have a shard in hand
            os.kill(worker, signal.SIGKILL)
        _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 0, errors
    assert "goes round again" in errors
    assert_undisturbed(workplace, run)


def test_ctrl_c_leaves_readable_tables_and_the_same_command_continues(
    workplace: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with start_command(*score_arguments(workplace, run)) as driver:
        wait_until(lambda: markers(run) >= 2, driver)
        os.killpg(driver.pid, signal.SIGINT)
        _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 130, errors
    assert "same command" in errors
    assert len(read(RunLayout(str(run)), "scores")) >= 2 * IMAGES
    assert coursepack(*score_arguments(workplace, run)).exit_code == 0
    assert_undisturbed(workplace, run)


def test_a_second_driver_on_the_same_run_is_turned_away(workplace: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with start_command(*score_arguments(workplace, run)) as driver:
        wait_until(lambda: markers(run) >= 1, driver)
        os.kill(driver.pid, signal.SIGSTOP)  # alive, but it cannot finish before the second asks
        second = coursepack(*score_arguments(workplace, run))
        os.kill(driver.pid, signal.SIGCONT)
        driver.communicate(timeout=120)
    assert second.exit_code == 1
    assert f"locked by process {driver.pid}" in second.errors
    assert driver.returncode == 0
    assert_undisturbed(workplace, run)


def test_new_shards_join_the_run_and_a_changed_one_is_refused(
    workplace: Path, tmp_path: Path
) -> None:
    pool = tmp_path / "pool"
    write_pool(pool, shards=2, images=8)
    arguments = score_arguments(workplace, tmp_path / "run")
    arguments[1] = pool
    assert coursepack(*arguments).json["rows"] == 16
    write_shard(pool / "shard-000-b.tar", images=8, seed=7)
    grown = coursepack(*arguments).json
    assert (grown["rows"], grown["parts_done"], grown["parts_kept"]) == (24, 1, 2)
    write_shard(pool / "shard-001.tar", images=9, seed=8)
    refused = coursepack(*arguments)
    assert refused.exit_code == 1
    assert "changed after they were scored" in refused.errors
    assert "shard-001.tar" in refused.errors


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_stops_clearly_and_the_run_continues_elsewhere_or_later(
    workplace: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", small], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        full = coursepack(*score_arguments(workplace, small / "run"))
        assert full.exit_code == 1, full.errors
        assert "Free space" in full.errors
        assert "quarantined" not in full.errors, "no shard is to blame"
        subprocess.run(["mount", "-o", "remount,size=16m", small], check=True)
        again = coursepack(*score_arguments(workplace, small / "run"))
        assert again.exit_code == 0, again.errors
        assert_undisturbed(workplace, small / "run")
    finally:
        subprocess.run(["umount", "-l", small], check=True)
