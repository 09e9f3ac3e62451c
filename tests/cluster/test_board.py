"""What a process wrote on its board is there when it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from cluster.board import (
    Crumb,
    Pulse,
    board_path,
    create_board,
    nameless_board,
    open_board,
    remove_board,
    started,
)

WRITER = (
    "import os, signal, sys\n"
    "from cluster.board import board_at\n"
    "board = board_at(int(sys.argv[1])); board.sign(); board.beat(); board.progress(64)\n"
    "board.begin(0, 512, 10); board.end(); board.begin(7, 4096, 99)\n"
    "os.kill(os.getpid(), signal.SIGKILL)\n"
)


def test_the_board_of_a_killed_process_tells_what_it_was_decoding() -> None:
    board, descriptor = nameless_board()
    assert (board.pulse(), board.crumbs(), board.owner()) == (Pulse(0, 0), (), (0, 0))
    writer = subprocess.run(
        [sys.executable, "-c", WRITER, str(descriptor)], pass_fds=[descriptor], check=False
    )
    os.close(descriptor)
    assert writer.returncode == -signal.SIGKILL
    assert board.pulse() == Pulse(1, 64)
    assert board.crumbs() == (Crumb(7, 4096, 99),)
    pid, since = board.owner()
    assert pid > 0
    assert since > 0
    assert started(pid) == 0
    board.clear()
    assert board.crumbs() == ()
    board.close()


def test_every_thread_has_its_own_crumb() -> None:
    board, descriptor = nameless_board()
    os.close(descriptor)
    all_in = threading.Barrier(9)

    def decode(index: int) -> None:
        board.begin(index, index * 512, 1)
        all_in.wait()
        all_in.wait()
        board.end()

    threads = [threading.Thread(target=decode, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    all_in.wait()
    assert [crumb.index for crumb in board.crumbs()] == list(range(8))
    all_in.wait()
    for thread in threads:
        thread.join()
    assert board.crumbs() == ()
    board.close()


def test_a_named_board_is_found_by_name_until_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    board = create_board("a")
    board.sign()
    board.begin(3, 1, 2)
    found = open_board("a")
    assert found is not None
    assert found.crumbs() == (Crumb(3, 1, 2),)
    assert found.owner() == (os.getpid(), started(os.getpid()))
    remove_board("a")
    remove_board("a")
    assert open_board("a") is None


def test_boards_of_the_long_dead_are_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("dead", "fresh", "mine"):
        board = create_board(name)
        if name == "mine":
            board.sign()
    for name in ("dead", "mine"):
        os.utime(board_path(name), (time.time() - 3600,) * 2)
    create_board("new")
    assert open_board("dead") is None
    assert open_board("fresh") is not None, "its owner may be about to sign"
    assert open_board("mine") is not None
