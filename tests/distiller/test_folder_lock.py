from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from distiller.folder_lock import lock_folder
from shards.errors import StorageError, UsageError

HOLDER = """
import sys, time
from pathlib import Path
from distiller.folder_lock import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_is_kept_out_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(UsageError, match="another process is training there"),
            lock_folder(folder),
        ):
            pass
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate()
    with lock_folder(folder):
        pass


def test_the_lock_can_be_taken_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), lock_folder(tmp_path):
        raise RuntimeError
    with lock_folder(tmp_path):
        pass


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with (
        pytest.raises(StorageError, match="cannot be used as the run's folder"),
        lock_folder(tmp_path / "run"),
    ):
        pass
