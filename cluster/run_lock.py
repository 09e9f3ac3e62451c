"""One driver per run: a lock that survives nothing it should not.

`run/lock/<epoch:08d>.json` is created exclusively; whoever created the highest epoch holds the
run. A holder renews its heartbeat; one that is dead (same machine: no such process; elsewhere:
heartbeat too old) is succeeded by the next epoch, which exactly one successor can create. A driver
that comes back from a long sleep finds a higher epoch than its own and stops before it commits.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from shards import atomic, storage
from shards.errors import CoursepackError, StorageError

HEARTBEAT_S = 10.0
STALE_AFTER_S = 60.0


class RunLocked(CoursepackError):
    """Another living driver holds the run."""


@dataclass(frozen=True)
class _Holder:
    epoch: int
    host: str
    pid: int
    process_started: str
    heartbeat: float
    released: bool

    def to_bytes(self) -> bytes:
        return json.dumps(self.__dict__, sort_keys=True).encode() + b"\n"

    def is_dead(self, now: float) -> bool:
        if self.released:
            return True
        if self.host == _host():
            return _process_started(self.pid) != self.process_started
        return now - self.heartbeat > STALE_AFTER_S


class RunLock:
    """Context manager that holds `folder` (the run's `lock`) for this process.

    Raises:
        RunLocked: if another driver holds it, naming host, process and last heartbeat.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lost = False
        self.epoch = 0

    def __enter__(self) -> RunLock:
        storage.make_dirs(self._folder)
        holder = self._latest()
        if holder is not None and not holder.is_dead(time.time()):
            raise RunLocked(_locked_message(self._folder, holder))
        self.epoch = holder.epoch + 1 if holder else 1
        if not atomic.create_exclusive(self._uri(self.epoch), self._me().to_bytes()):
            winner = self._latest()
            assert winner is not None
            raise RunLocked(_locked_message(self._folder, winner))
        if not self._is_latest():
            # Others came and went since we looked, and removed the epoch that we then took.
            storage.remove(self._uri(self.epoch))
            raise RunLocked(f"another driver took {self._folder} at the same moment; try again")
        for old in range(max(1, self.epoch - 10), self.epoch):
            if storage.exists(self._uri(old)):
                storage.remove(self._uri(old))
        self._thread = threading.Thread(target=self._beat, daemon=True, name="run-lock")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        # A full disk must not hide what ended the run.
        with contextlib.suppress(StorageError):
            if self._is_latest():
                self._release()

    def _release(self) -> None:
        try:
            atomic.write_bytes(self._uri(self.epoch), self._me(released=True).to_bytes())
        except StorageError:
            # Removing needs no room. Else a notebook would keep itself out until it is restarted.
            storage.remove(self._uri(self.epoch))

    def check(self) -> None:
        """Raise `RunLocked` if a later driver has taken the run over; asked before tables change.

        Parts and their markers need no lock: whoever writes them writes the same bytes.
        """
        self._lost = self._lost or not self._is_latest()
        self.check_lost()

    def check_lost(self) -> None:
        """The same from what the heartbeat saw last: costs nothing, to be asked all the time."""
        if self._lost:
            raise RunLocked(
                f"another driver took over {self._folder} while this one was silent; "
                "nothing is lost, this one stops"
            )

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            try:
                if self._is_latest():
                    atomic.write_bytes(self._uri(self.epoch), self._me().to_bytes())
                else:
                    self._lost = True
                    return
            except StorageError:
                continue  # a full disk or a lost mount shows in the run itself, with its cure

    def _is_latest(self) -> bool:
        latest, me = self._latest(), self._me()
        if latest is None:
            return False
        # Stores without conditional writes may let two drivers believe in one epoch; the file
        # names one of them.
        return (latest.epoch, latest.host, latest.pid) == (me.epoch, me.host, me.pid)

    def _latest(self) -> _Holder | None:
        if not storage.exists(self._folder):  # object stores have no empty folders
            return None
        files = storage.list_files(self._folder, suffix=".json")
        if not files:
            return None
        newest = max(files, key=lambda info: storage.name(info.uri))
        try:
            return _Holder(**json.loads(storage.read_bytes(newest.uri)))
        except (ValueError, TypeError) as error:
            raise CoursepackError(
                f"lock file {newest.uri} is damaged ({error}); if no other driver works on this "
                "run, remove it and run the same command again"
            ) from error

    def _me(self, *, released: bool = False) -> _Holder:
        return _Holder(
            epoch=self.epoch,
            host=_host(),
            pid=os.getpid(),
            process_started=_process_started(os.getpid()),
            heartbeat=time.time(),
            released=released,
        )

    def _uri(self, epoch: int) -> str:
        return storage.join(self._folder, f"{epoch:08d}.json")


def read_holder(folder: str) -> _Holder | None:
    """Who took the lock in `folder` last, living or not; None if nobody ever did. Takes nothing."""
    return RunLock(folder)._latest()


def _host() -> str:
    """This machine, boot and process namespace: a process number means nothing beyond them."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    parts = [
        socket.gethostname(),
        boot.read_text().strip() if boot.exists() else "",
        str(namespace.readlink()) if namespace.exists() else "",
    ]
    return "/".join(parts)


def _process_started(pid: int) -> str:
    """When process `pid` started, in clock ticks since boot; empty if there is none.

    A number alone could have been given to an unrelated process meanwhile.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return ""
        return _is_running(pid)  # no /proc (macOS): the bare number has to do
    state, *rest = stat[stat.rindex(")") + 2 :].split()
    return "" if state == "Z" else rest[18]


def _is_running(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "running"
    return "running"


def _locked_message(folder: str, holder: _Holder) -> str:
    age = max(0.0, time.time() - holder.heartbeat)
    return (
        f"run is locked by process {holder.pid} on {holder.host.split('/')[0]} "
        f"(last heartbeat {age:.0f} s ago, {folder}); wait for it or stop it. A driver that died "
        f"on another machine is succeeded {STALE_AFTER_S:.0f} s after its last heartbeat"
    )
