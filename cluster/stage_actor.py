"""What lives in a Ray actor's process, and what is run on its node once it is dead.

Nothing here imports Ray: `cluster.ray_executor` makes actors and tasks of it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from cluster.board import Board, Crumb, Pulse, create_board, open_board, remove_board, started
from cluster.retry import flatten
from cluster.same_code import check_code
from cluster.stage import Reporting, Task

_LAST_BREATH_S = 5.0


class StageActor:
    """One opened stage. `pulse` and `leave` run beside `open` and `run`, in a thread of their own.

    Args:
        board_name: Of the page on this node that survives the process.
        find_node: Tells the id of the node that this is.
        code: The driver's code fingerprint.
        stage: Pickled, so that other code is told before it fails to unpickle.
    """

    def __init__(
        self, board_name: str, code: str, stage: bytes, find_node: Callable[[], str]
    ) -> None:
        self._board_name = board_name
        self._node = find_node()
        self._board: Board = create_board(board_name)
        self._board.sign()
        self._code = code
        self._stage = stage
        self._worker: Any = None

    def open(self) -> tuple[str, Any]:
        try:
            check_code(self._code, node=socket.gethostname())
            self._worker = pickle.loads(self._stage).open()  # bytes of the driver of this actor
            if isinstance(self._worker, Reporting):
                self._worker.report_to(self._board)
        except Exception as error:  # whatever it is, the driver must hear of it
            return "cannot open", flatten(error)
        return "ready", None

    def run(self, task: Task) -> tuple[str, Any]:
        self._board.clear()
        try:
            return "done", self._worker.run(task)
        except Exception as error:  # judged and repeated, or quarantined, by the driver
            return "raised", flatten(error)

    def pulse(self) -> tuple[Pulse, str]:
        """A sign of life, and the node that it comes from."""
        self._board.beat()
        return self._board.pulse(), self._node

    def leave(self) -> None:
        """Before the driver ends this process: nothing stays on the node."""
        remove_board(self._board_name)


def last_words(board_name: str) -> tuple[Crumb, ...]:
    """Run on the node of a dead or given-up actor: what it was decoding.

    Makes sure that it is dead: one that was stopped, or hangs, hears nothing of Ray's orders.
    """
    board = open_board(board_name)
    if board is None:
        return ()
    pid, since = board.owner()
    deadline = time.monotonic() + _LAST_BREATH_S
    while pid and started(pid) == since and time.monotonic() < deadline:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    crumbs = board.crumbs()
    board.close()
    remove_board(board_name)
    return crumbs
