"""`runs list`, `runs gc`: which runs lie under a folder, and what in them can go."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cluster.run_garbage import QUIET_S, Garbage, find_garbage
from cluster.run_lock import RunLock, RunLocked, read_holder
from cluster.run_status import RunStatus, read_status
from selector.tables.layout import RunLayout
from shards import storage
from shards.errors import CoursepackError, UsageError


@dataclass(frozen=True)
class ListedRun:
    """One run under a folder.

    Attributes:
        status: None where its files cannot be read; then `error` says why.
        num_bytes: Size of all of its files.
        last_change_s: When its youngest file was written, seconds since 1970.
    """

    run: str
    status: RunStatus | None
    num_bytes: int
    last_change_s: float | None
    error: str = ""


@dataclass(frozen=True)
class Cleaning:
    """What can go, or went, from the runs under a folder.

    Attributes:
        removed: Whether the files are gone; False for a dry run.
        skipped: Runs that were left alone, with the reason.
    """

    runs: list[str]
    garbage: list[Garbage]
    removed: bool
    skipped: dict[str, str] = field(default_factory=dict)


def runs_list(folder: str) -> list[ListedRun]:
    """Every run at or below `folder`, sorted by path.

    Locally only folders are walked that are no runs themselves; an object store is listed whole.

    Raises:
        UsageError: nothing is there.
        StorageError: the place cannot be listed.
    """
    return [_listed(root) for root in _find_runs(folder)]


def runs_gc(folder: str, *, yes: bool = False, quiet_s: float = QUIET_S) -> Cleaning:
    """Find, and with `yes` remove, what nobody needs in the runs at or below `folder`.

    A run that a driver works on is left alone; while files are removed, the run's lock is held.

    Args:
        quiet_s: Files younger than this many seconds are left alone.

    Raises:
        UsageError: nothing is there.
        StorageError: a place cannot be listed, or a file not removed.
    """
    cleaning = Cleaning(runs=_find_runs(folder), garbage=[], removed=yes)
    for root in cleaning.runs:
        layout = RunLayout(root)
        try:
            if not yes:
                _refuse_live(layout)
                cleaning.garbage.extend(find_garbage(layout, quiet_s=quiet_s))
                continue
            with RunLock(layout.lock):
                for garbage in find_garbage(layout, quiet_s=quiet_s):
                    storage.remove(garbage.uri)
                    cleaning.garbage.append(garbage)
                _remove_empty_plans(layout)
        except RunLocked as error:
            cleaning.skipped[root] = str(error)
        except CoursepackError as error:
            cleaning.skipped[root] = f"cannot be cleaned: {error}"
    return cleaning


def _refuse_live(layout: RunLayout) -> None:
    holder = read_holder(layout.lock)
    if holder is not None and not holder.is_dead(time.time()):
        raise RunLocked(f"a driver works on it: process {holder.pid} on {holder.host}")


def _find_runs(folder: str) -> list[str]:
    root = storage.normalize(folder)
    if not storage.exists(root):
        raise UsageError(f"{root} does not exist; expected a folder with runs in it")
    if storage.is_local(root):
        return sorted(_walk(Path(root)))
    configs = storage.list_files(root, suffix="/config.yaml", recursive=True)
    found = [info.uri.removesuffix("/config.yaml") for info in configs]
    return sorted(run for run in found if storage.exists(RunLayout(run).lock))


def _walk(folder: Path) -> Iterator[str]:
    if (folder / "config.yaml").is_file() and (folder / "lock").is_dir():
        yield folder.as_posix()
        return
    with contextlib.suppress(PermissionError):
        for child in sorted(folder.iterdir()):
            if child.is_dir() and not child.is_symlink() and not child.name.startswith("."):
                yield from _walk(child)


def _listed(root: str) -> ListedRun:
    files = storage.list_files(root, recursive=True)
    written = [info.modified_s for info in files if info.modified_s is not None]
    status, error = None, ""
    try:
        status = read_status(root)
    except CoursepackError as problem:  # one damaged run must not hide the others
        error = str(problem)
    return ListedRun(
        run=root,
        status=status,
        num_bytes=sum(max(0, info.num_bytes) for info in files),
        last_change_s=max(written, default=None),
        error=error,
    )


def _remove_empty_plans(layout: RunLayout) -> None:
    if storage.is_local(layout.root):
        for plan in Path(layout.root).glob(".plan-*"):
            for folder, _, _ in os.walk(plan, topdown=False):
                with contextlib.suppress(OSError):  # holds a file that is too young to go
                    os.rmdir(folder)
