"""How the C library keeps memory between batches, and when it hands it back to the system."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from functools import lru_cache
from typing import Any

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3

MOST_MAPPED = 32 << 20
"""Bytes up to which a block comes out of the heap: the most that glibc lets one ask for."""

MOST_KEPT = 1 << 30
"""Bytes at the end of the heap that stay with the process though nothing uses them."""


def keep_memory_between_batches() -> None:
    """Have the C library reuse large blocks instead of asking the system for each anew.

    By itself it maps a block of some megabytes when a layer needs one and unmaps it behind the
    layer: thousands of page faults a batch, a tenth to a quarter of a network's time on a CPU. For
    the whole process and for good; nothing where the library is not glibc.
    """
    library = _libc()
    if hasattr(library, "mallopt"):
        library.mallopt(_MMAP_THRESHOLD, MOST_MAPPED)
        library.mallopt(_TRIM_THRESHOLD, MOST_KEPT)


def give_memory_back() -> None:
    """Have the C library return what is free; nothing where it cannot (it is not glibc).

    Every part has threads of its own to read and to write, and glibc keeps what a thread freed for
    the next one that gets its arena: over many parts a worker would hold that once for each arena.
    """
    trim: Callable[[int], int] | None = getattr(_libc(), "malloc_trim", None)
    if trim is not None:
        trim(0)


@lru_cache(maxsize=1)
def _libc() -> Any:
    name = ctypes.util.find_library("c")
    return None if name is None else ctypes.CDLL(name)
