"""What runs in an actor's process, and on its node once it is dead; without Ray."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cluster.board import Crumb, board_path
from cluster.code_fingerprint import code_fingerprint
from cluster.stage_actor import StageActor, last_words
from tests.support.stages import ToyStage, ToyTask

STOPPED = (
    "import os, signal, sys\n"
    "from cluster.board import create_board\n"
    "board = create_board(sys.argv[1]); board.sign(); board.begin(5, 512, 7)\n"
    "print('signed', flush=True); os.kill(os.getpid(), signal.SIGSTOP)\n"
)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def actor(stage: ToyStage, *, code: str | None = None) -> StageActor:
    return StageActor("a", code or code_fingerprint(), pickle.dumps(stage), lambda: "node-1")


def test_it_opens_runs_and_leaves_nothing(tmp_path: Path) -> None:
    one = actor(ToyStage())
    assert one.open() == ("ready", None)
    kind, result = one.run(ToyTask("t", str(tmp_path), "slow"))
    assert (kind, result.name) == ("done", "t")
    pulse, node = one.pulse()
    assert (pulse.beats, pulse.units, node) == (1, 8, "node-1")
    assert one.run(ToyTask("t", str(tmp_path), "raise"))[0] == "raised"
    one.leave()
    assert not Path(board_path("a")).exists()


def test_other_code_and_a_bad_stage_are_told_as_what_no_worker_can_open() -> None:
    kind, failure = actor(ToyStage(), code="0" * 64).open()
    assert (kind, failure.verdict) == ("cannot open", "abort")
    assert "not the driver's" in failure.message
    os.unlink(board_path("a"))
    assert actor(ToyStage(open_error="wrong weights")).open()[1].message == "wrong weights"


def test_the_last_words_of_one_that_hears_nothing_any_more() -> None:
    with subprocess.Popen([sys.executable, "-c", STOPPED, "b"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"signed\n"
        assert last_words("b") == (Crumb(5, 512, 7),)
        assert process.wait(20) == -signal.SIGKILL
    assert not Path(board_path("b")).exists()
    assert last_words("b") == ()
