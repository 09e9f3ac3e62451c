from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import run_lock
from cluster.run_lock import RunLock, RunLocked
from shards.errors import CoursepackError

HOLD = (
    "import sys, time\n"
    "from cluster.run_lock import RunLock\n"
    "with RunLock(sys.argv[1]) as lock:\n"
    "    print(lock.epoch, flush=True)\n"
    "    time.sleep(60)\n"
)


def hold_elsewhere(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip().isdigit()
    return process


def test_a_second_driver_is_kept_out_and_told_by_whom(tmp_path: Path) -> None:
    with hold_elsewhere(tmp_path) as process:
        try:
            by_whom = rf"process {process.pid} on "
            with pytest.raises(RunLocked, match=by_whom), RunLock(str(tmp_path)):
                pass
        finally:
            process.kill()


def test_a_killed_driver_is_succeeded_at_once_on_the_same_machine(tmp_path: Path) -> None:
    with hold_elsewhere(tmp_path) as process:
        process.kill()
    with RunLock(str(tmp_path)) as lock:
        assert lock.epoch == 2
    with RunLock(str(tmp_path)) as lock:
        assert lock.epoch == 3, "a released lock is free"


def test_a_full_disk_does_not_lock_a_process_out_of_its_own_run(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", tmp_path]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        with RunLock(str(tmp_path / "lock")):
            filler = tmp_path / "filler"
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        filler.unlink()
        with RunLock(str(tmp_path / "lock")) as lock:
            assert lock.epoch == 1, "nothing is left of the one that could not be released"
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def test_a_driver_of_another_machine_is_dead_only_when_its_heartbeat_is_old(
    tmp_path: Path,
) -> None:
    with RunLock(str(tmp_path)) as lock:
        path = tmp_path / f"{lock.epoch:08d}.json"
        holder = json.loads(path.read_text()) | {"host": "elsewhere/boot", "released": False}
    path.write_text(json.dumps(holder))
    with pytest.raises(RunLocked, match="elsewhere"), RunLock(str(tmp_path)):
        pass
    holder["heartbeat"] -= run_lock.STALE_AFTER_S + 1
    path.write_text(json.dumps(holder))
    with RunLock(str(tmp_path)) as lock:
        assert lock.epoch == 2


def test_of_two_drivers_in_one_epoch_the_file_names_the_one_that_goes_on(tmp_path: Path) -> None:
    with RunLock(str(tmp_path)) as lock:
        path = tmp_path / f"{lock.epoch:08d}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"host": "elsewhere/boot"}))
        with pytest.raises(RunLocked, match="took over"):
            lock.check()


def test_a_driver_that_was_taken_over_stops_before_it_commits(tmp_path: Path) -> None:
    with RunLock(str(tmp_path)) as lock:
        lock.check()
        mine = json.loads((tmp_path / "00000001.json").read_text())
        (tmp_path / "00000002.json").write_text(json.dumps(mine | {"epoch": 2}))
        with pytest.raises(RunLocked, match="took over"):
            lock.check()
    assert not json.loads((tmp_path / "00000002.json").read_text())["released"]


def test_a_damaged_lock_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "00000001.json").write_text("{")
    with pytest.raises(CoursepackError, match=r"00000001\.json"), RunLock(str(tmp_path)):
        pass
