"""Workers on this machine, without Ray: one process each, watched, and replaced when they die."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from cluster.board import Board, Pulse, nameless_board
from cluster.code_fingerprint import code_fingerprint
from cluster.retry import Failure, flatten
from cluster.stage import Stage, Task, Worker
from cluster.worker_pool import CannotOpen, Died, Done, PoolEvent, Raised, Ready

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Environment of a worker that says how many threads its maths libraries may use; several of them
read it on import alone."""

_BURIAL_S = 10.0
"""A killed process that hangs in its file system is left to it after this long."""


@dataclass(frozen=True)
class WorkerProcess:
    """A process that runs `cluster.local_worker`, and the two ways to it."""

    process: subprocess.Popen[bytes]
    connection: Connection
    board: Board


def worker_environment() -> dict[str, str]:
    """Environment of a worker. Its threads work side by side, so each has a core and no more."""
    return os.environ | {
        **dict.fromkeys(THREAD_VARIABLES, "1"),
        # What the driver can import, and from where, the worker can: stages are found by name.
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }


def start_process(environment: Mapping[str, str], *, preload: str = "") -> WorkerProcess:
    """Start a worker, which waits for its stage.

    Args:
        preload: module that it imports while it waits.
    """
    ours, theirs = Pipe()
    board, descriptor = nameless_board()
    # -P: a folder called cluster in the working directory is not ours.
    program = [sys.executable, "-P", "-m", "cluster.local_worker"]
    process = subprocess.Popen(
        [*program, str(theirs.fileno()), str(descriptor), preload],
        pass_fds=[theirs.fileno(), descriptor],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=2,  # standard output belongs to the driver's result, progress goes beside it
    )
    theirs.close()
    os.close(descriptor)
    return WorkerProcess(process, ours, board)


class ProcessPool:
    """A `WorkerPool` of local processes (see `cluster.local_worker`).

    Args:
        stage: What each process opens.
        devices: GPUs to spread the processes over; each sees one of them. 0 = CPU.
        standby: Processes that were started in advance; taken first, where they fit.
    """

    def __init__(self, stage: Stage, *, devices: int = 0, standby: Standby | None = None) -> None:
        self._stage = pickle.dumps(stage)
        self._code = code_fingerprint()
        self._environment = worker_environment()
        self._devices = devices
        self._standby = standby
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._connections: dict[int, Connection] = {}
        self._boards: dict[int, Board] = {}
        self._numbers: dict[Connection, int] = {}
        self._next = 0

    def start(self) -> int:
        number, self._next = self._next, self._next + 1
        environment = self._environment | self._device_of(number)
        waiting = None if self._standby is None else self._standby.take(environment)
        worker = waiting or start_process(environment)
        self._processes[number], self._connections[number] = worker.process, worker.connection
        self._boards[number], self._numbers[worker.connection] = worker.board, number
        with contextlib.suppress(ConnectionError):  # already dead: `wait` will see it
            worker.connection.send((self._code, self._stage))
        return number

    def submit(self, worker: int, task: Task) -> None:
        with contextlib.suppress(ConnectionError, KeyError):  # dead: as in `start`
            self._connections[worker].send(task)

    def wait(self, timeout_s: float) -> PoolEvent | None:
        if not self._numbers:
            time.sleep(timeout_s)
            return None
        ready = wait(list(self._numbers), timeout_s)
        if not ready:
            return None
        connection = ready[0]
        assert isinstance(connection, Connection)
        number = self._numbers[connection]
        try:
            kind, content = connection.recv()
        except (EOFError, OSError):  # closed, reset, or cut in the middle of a message
            return self._bury(number)
        return as_event(number, kind, content)

    def pulses(self, workers: Collection[int]) -> Mapping[int, Pulse]:
        return {number: self._boards[number].pulse() for number in workers}

    def kill(self, worker: int, reason: str) -> None:
        self._processes[worker].kill()  # the end of its connection then ends a `wait`

    def room(self) -> int | None:
        return None

    def why_silent(self) -> str:
        return f"{len(self._processes)} worker processes are starting"

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()
        for number in list(self._processes):
            self._bury(number)

    def _device_of(self, number: int) -> dict[str, str]:
        if not self._devices:
            return {}
        # Those that this process may use, which need not be the machine's first ones.
        visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        gpu = number % self._devices
        return {"CUDA_VISIBLE_DEVICES": visible[gpu] if gpu < len(visible) else str(gpu)}

    def _bury(self, number: int) -> Died:
        connection = self._connections.pop(number)
        del self._numbers[connection]
        connection.close()
        process = self._processes.pop(number)
        try:
            code = process.wait(_BURIAL_S)
        except subprocess.TimeoutExpired:
            process.kill()  # it closed its connection and goes on, or hangs inside the kernel
            code = 0
        board = self._boards.pop(number)
        crumbs = board.crumbs()
        board.close()
        reason = f"was killed by signal {-code}" if code < 0 else f"exited with status {code}"
        return Died(number, f"worker process {number} {reason}", crumbs=crumbs)


def as_event(worker: int, kind: str, content: Any) -> PoolEvent:
    """What a worker process or actor sent, as the dispatcher knows it."""
    if kind == "ready":
        return Ready(worker)
    if kind == "done":
        return Done(worker, content)
    assert isinstance(content, Failure)
    return CannotOpen(worker, content) if kind == "cannot open" else Raised(worker, content)


class Standby:
    """Workers started before anybody knows their stage, which load what any of them needs.

    A worker spends most of its first seconds importing torch, and so does the driver. Side by side
    this takes the time of one.

    Args:
        count: how many.
        preload: module that they import.
    """

    def __init__(self, count: int, *, preload: str) -> None:
        self._environment = worker_environment()
        self._waiting = [start_process(self._environment, preload=preload) for _ in range(count)]

    def take(self, environment: Mapping[str, str]) -> WorkerProcess | None:
        """One that lives and was started in the same environment, if there is any."""
        if environment != self._environment:
            return None
        while self._waiting:
            worker = self._waiting.pop()
            if worker.process.poll() is None:
                return worker
            _end(worker)
        return None

    def close(self) -> None:
        """End those that nobody took."""
        while self._waiting:
            _end(self._waiting.pop())


def _end(worker: WorkerProcess) -> None:
    worker.process.kill()
    worker.connection.close()
    with contextlib.suppress(subprocess.TimeoutExpired):  # it hangs inside the kernel: left there
        worker.process.wait(_BURIAL_S)
    worker.board.close()


class InlinePool:
    """A `WorkerPool` of one worker in this very process: for notebooks, debuggers and tests."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._worker: Worker[Any] | None = None
        self._tasks: list[Task] = []

    def start(self) -> int:
        return 0

    def submit(self, worker: int, task: Task) -> None:
        self._tasks.append(task)

    def wait(self, timeout_s: float) -> PoolEvent | None:
        if self._worker is None:
            try:
                self._worker = self._stage.open()
            except Exception as error:  # reported like any worker's
                return CannotOpen(0, flatten(error))
            return Ready(0)
        if not self._tasks:
            time.sleep(timeout_s)
            return None
        task = self._tasks.pop(0)
        try:
            return Done(0, self._worker.run(task))
        except Exception as error:  # judged by the dispatcher like any worker's
            return Raised(0, flatten(error))

    def pulses(self, workers: Collection[int]) -> Mapping[int, Pulse]:
        return {}  # nobody is left to watch this process while it works

    def kill(self, worker: int, reason: str) -> None:
        raise AssertionError("a worker without a pulse is never given up")

    def room(self) -> int | None:
        return None

    def why_silent(self) -> str:
        return "tasks pause before they are tried again"

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()
