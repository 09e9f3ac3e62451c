"""Memory that a finished part no longer needs, handed back to the system."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from functools import lru_cache


def give_memory_back() -> None:
    """Have the C library return what is free; nothing where it cannot (it is not glibc).

    Every part has threads of its own to read and to write, and glibc keeps what a thread freed for
    the next one that gets its arena: over many parts a worker would hold that once for each arena.
    Called once a part.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@lru_cache(maxsize=1)
def _malloc_trim() -> Callable[[int], int] | None:
    name = ctypes.util.find_library("c")
    return None if name is None else getattr(ctypes.CDLL(name), "malloc_trim", None)
