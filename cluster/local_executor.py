"""Workers on this machine, without Ray: one process each, watched, and replaced when they die."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from cluster.dispatch import CannotOpen, Died, Done, PoolEvent, Raised, Ready
from cluster.retry import Failure, flatten
from cluster.stage import Stage, Task, Worker

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Environment of a worker that says how many threads its maths libraries may use."""


class ProcessPool:
    """A `WorkerPool` of local processes (see `cluster.local_worker`).

    Args:
        stage: What each process opens.
        threads: Threads that a worker's maths libraries may use; set in its environment before
            anything is imported, because several of them read it only then.
        devices: GPUs to spread the processes over; each sees one of them. 0 = CPU.
    """

    def __init__(self, stage: Stage, *, threads: int, devices: int = 0) -> None:
        self._stage = stage
        self._environment = os.environ | {
            **dict.fromkeys(THREAD_VARIABLES, str(threads)),
            # What the driver can import, the worker can: stages are found by module name.
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        self._devices = devices
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._connections: dict[int, Connection] = {}
        self._next = 0

    def start(self) -> int:
        ours, theirs = Pipe()
        number, self._next = self._next, self._next + 1
        process = subprocess.Popen(
            [sys.executable, "-m", "cluster.local_worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=self._environment | self._device_of(number),
            stdin=subprocess.DEVNULL,
            stdout=2,  # standard output belongs to the driver's result, progress goes beside it
        )
        theirs.close()
        self._processes[number], self._connections[number] = process, ours
        with contextlib.suppress(ConnectionError):  # already dead: `wait` will see it
            ours.send(self._stage)
        return number

    def submit(self, worker: int, task: Task) -> None:
        with contextlib.suppress(ConnectionError, KeyError):  # dead: as in `start`
            self._connections[worker].send(task)

    def wait(self) -> PoolEvent:
        by_connection = {connection: number for number, connection in self._connections.items()}
        ready = wait(list(by_connection))[0]
        assert isinstance(ready, Connection)
        number = by_connection[ready]
        try:
            kind, content = ready.recv()
        except (EOFError, OSError):  # closed, reset, or cut in the middle of a message
            return Died(number, self._bury(number))
        return as_event(number, kind, content)

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

    def _bury(self, number: int) -> str:
        self._connections.pop(number).close()
        code = self._processes.pop(number).wait()
        if code < 0:
            return f"worker process {number} was killed by signal {-code}"
        return f"worker process {number} exited with status {code}"


def as_event(worker: int, kind: str, content: Any) -> PoolEvent:
    """What a worker process or actor sent, as the dispatcher knows it."""
    if kind == "ready":
        return Ready(worker)
    if kind == "done":
        return Done(worker, content)
    assert isinstance(content, Failure)
    return CannotOpen(worker, content) if kind == "cannot open" else Raised(worker, content)


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

    def wait(self) -> PoolEvent:
        if self._worker is None:
            try:
                self._worker = self._stage.open()
            except Exception as error:  # reported like any worker's
                return CannotOpen(0, flatten(error))
            return Ready(0)
        task = self._tasks.pop(0)
        try:
            return Done(0, self._worker.run(task))
        except Exception as error:  # judged by the dispatcher like any worker's
            return Raised(0, flatten(error))

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()
