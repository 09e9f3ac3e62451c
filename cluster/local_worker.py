"""The program a local worker process runs: `python -m cluster.local_worker PIPE BOARD MODULE`.

The first two are descriptors of open files; the module is imported before the stage arrives, unless
it is "". The program is started as a plain program, not forked and not through the
caller's `__main__`, so that scripts and notebooks need no guard and no thread of the driver is
copied half alive.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import sys
import threading
from importlib import import_module
from multiprocessing.connection import Connection

from cluster.board import Board, board_at
from cluster.retry import flatten
from cluster.same_code import check_code
from cluster.stage import Reporting

_BEAT_EVERY_S = 0.5


def serve(connection: Connection, board: Board, *, preload: str = "") -> None:
    """Open the stage that arrives first, then answer each task with its result or failure."""
    if preload:
        with contextlib.suppress(ImportError):  # whoever needs it says so, and why
            import_module(preload)
    expected_code, stage = connection.recv()
    try:
        check_code(expected_code, node=socket.gethostname())
        worker = pickle.loads(stage).open()  # bytes of the driver that started this process
        if isinstance(worker, Reporting):
            worker.report_to(board)
    except Exception as error:  # whatever it is, the driver must hear of it
        connection.send(("cannot open", flatten(error)))
        return
    connection.send(("ready", None))
    try:
        while (task := connection.recv()) is not None:
            board.clear()
            try:
                connection.send(("done", worker.run(task)))
            except Exception as error:  # judged and repeated, or quarantined, by the driver
                connection.send(("raised", flatten(error)))
    finally:
        worker.close()


def _live(parent: int, board: Board) -> None:
    """Beat; and leave when the driver is gone, even if it was killed and could not say so."""
    while os.getppid() == parent:
        board.beat()
        threading.Event().wait(_BEAT_EVERY_S)
    os._exit(1)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    connection, board = Connection(int(sys.argv[1])), board_at(int(sys.argv[2]))
    board.sign()
    threading.Thread(target=_live, args=(os.getppid(), board), daemon=True).start()
    try:
        serve(connection, board, preload=sys.argv[3])
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(1)  # the driver has closed its end


if __name__ == "__main__":
    main()
