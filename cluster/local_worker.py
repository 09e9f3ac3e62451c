"""The program a local worker process runs: `python -m cluster.local_worker FD`.

It is started as a plain program, not forked and not through the caller's `__main__`, so that
scripts and notebooks need no guard and no thread of the driver is copied half alive.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from multiprocessing.connection import Connection

from cluster.retry import flatten


def serve(connection: Connection) -> None:
    """Open the stage that arrives first, then answer each task with its result or failure."""
    stage = connection.recv()
    try:
        worker = stage.open()
    except Exception as error:  # whatever it is, the driver must hear of it
        connection.send(("cannot open", flatten(error)))
        return
    connection.send(("ready", None))
    try:
        while (task := connection.recv()) is not None:
            try:
                connection.send(("done", worker.run(task)))
            except Exception as error:  # judged and repeated, or quarantined, by the driver
                connection.send(("raised", flatten(error)))
    finally:
        worker.close()


def _die_with(parent: int) -> None:
    """Leave when the driver is gone, even if it was killed and could not say so."""
    while os.getppid() == parent:
        threading.Event().wait(0.5)
    os._exit(1)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True).start()
    connection = Connection(int(sys.argv[1]))
    try:
        serve(connection)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(1)  # the driver has closed its end


if __name__ == "__main__":
    main()
