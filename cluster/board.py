"""A worker's board: a page of shared memory that outlives the process that writes on it.

The worker notes that it lives, how many images it has done, and which images it is decoding right
now: its breadcrumbs. Whoever is left after the worker was killed by one of them reads the page.
Local workers inherit it as an open file without a name, so that nothing is left behind; on Ray it
is a file in the temporary folder of the actor's node.
"""

from __future__ import annotations

import itertools
import mmap
import os
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_WORDS = 512  # of 8 bytes: one page
_BEATS, _UNITS, _PID, _STARTED = range(4)
_FIRST_SLOT = 8
_SLOT_WORDS = 3
_SLOTS = (_WORDS - _FIRST_SLOT) // _SLOT_WORDS
_PREFIX = "coursepack-board-"


@dataclass(frozen=True, order=True)
class Crumb:
    """An image that was being decoded when its worker died.

    Attributes:
        index: Its place in the shard.
        offset, size: Where the bytes of its image lie in the (unpacked) tar.
    """

    index: int
    offset: int
    size: int


@dataclass(frozen=True)
class Pulse:
    """What a living worker shows: two numbers that only ever grow.

    Attributes:
        beats: Signs of life.
        units: Images, or whatever its stage counts as progress, done since it started.
    """

    beats: int
    units: int


class Board:
    """One page, written by one process, read by any."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._words = memoryview(memory).cast("q")
        self._slot_of = threading.local()
        self._next_slot = itertools.count()

    def sign(self) -> None:
        """Say whose board this is."""
        self._words[_PID] = os.getpid()
        self._words[_STARTED] = started(os.getpid())

    def beat(self) -> None:
        """A sign of life."""
        self._words[_BEATS] += 1

    def progress(self, units: int) -> None:
        """`units` more are done. One thread of the worker calls this."""
        self._words[_UNITS] += units

    def begin(self, index: int, offset: int, size: int) -> None:
        """This thread is about to decode an image; any thread of the worker may call this."""
        slot = getattr(self._slot_of, "first", -1)
        if slot < 0:
            number = next(self._next_slot) % _SLOTS
            slot = self._slot_of.first = _FIRST_SLOT + number * _SLOT_WORDS
        words = self._words
        words[slot + 1], words[slot + 2] = offset, size
        words[slot] = index + 1  # last: from here on the crumb counts

    def end(self) -> None:
        """The image that this thread began is done, well or badly."""
        self._words[self._slot_of.first] = 0

    def clear(self) -> None:
        """No image is being decoded: a new task begins."""
        for slot in range(_FIRST_SLOT, _FIRST_SLOT + _SLOTS * _SLOT_WORDS, _SLOT_WORDS):
            self._words[slot] = 0

    def pulse(self) -> Pulse:
        return Pulse(self._words[_BEATS], self._words[_UNITS])

    def owner(self) -> tuple[int, int]:
        """(process, when it started) of the writer; (0, 0) before it signed."""
        return self._words[_PID], self._words[_STARTED]

    def crumbs(self) -> tuple[Crumb, ...]:
        """Images begun and not ended, in order."""
        words = self._words
        found = [
            Crumb(words[slot] - 1, words[slot + 1], words[slot + 2])
            for slot in range(_FIRST_SLOT, _FIRST_SLOT + _SLOTS * _SLOT_WORDS, _SLOT_WORDS)
            if words[slot]
        ]
        return tuple(sorted(found))

    def close(self) -> None:
        self._words.release()
        self._memory.close()


def nameless_board() -> tuple[Board, int]:
    """A board in a file without a name, and its descriptor for a child process to inherit."""
    with tempfile.TemporaryFile() as file:
        file.truncate(_WORDS * 8)
        board = board_at(file.fileno())
        return board, os.dup(file.fileno())


def board_at(descriptor: int) -> Board:
    """The board in an open file."""
    return Board(mmap.mmap(descriptor, _WORDS * 8))


def board_path(name: str) -> str:
    """Where the board called `name` lies on the node that asks."""
    return os.path.join(tempfile.gettempdir(), f"{_PREFIX}{name}")


def create_board(name: str) -> Board:
    """A new board that other processes of this node find by its name.

    Boards of processes that are gone for good are cleared away on the way.
    """
    _sweep()
    with open(board_path(name), "x+b") as file:
        file.truncate(_WORDS * 8)
        return board_at(file.fileno())


def open_board(name: str) -> Board | None:
    """A board of this node by its name; None if there is none."""
    try:
        with open(board_path(name), "r+b") as file:
            return board_at(file.fileno())
    except FileNotFoundError:
        return None


def remove_board(name: str) -> None:
    Path(board_path(name)).unlink(missing_ok=True)


def _sweep() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        board = open_board(path.name.removeprefix(_PREFIX))
        if board is None:
            continue
        pid, since = board.owner()
        board.close()
        # Whoever wants to read a board does so within seconds of its owner's death, and an owner
        # that has died before it signed is told from one that is just starting by its age.
        if not (pid and started(pid) == since) and _age_s(path) > 600:
            path.unlink(missing_ok=True)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def started(pid: int) -> int:
    """When a process started, in ticks since boot; 0 if there is no such process, or no /proc.

    A process number alone may have been given to somebody else meanwhile.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    state, *rest = stat[stat.rindex(")") + 2 :].split()
    return 0 if state == "Z" else int(rest[18])
