from __future__ import annotations

import sys
from pathlib import Path

import pytest

from selector.scoring.memory import give_memory_back


def resident_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and only glibc can do it")
def test_what_is_free_leaves_the_process() -> None:
    # Too small to be mapped one by one; the last one keeps the heap from shrinking by itself.
    blocks = [bytearray(60_000) for _ in range(1_000)]
    kept = bytearray(60_000)
    before = resident_mb()
    del blocks
    give_memory_back()
    assert resident_mb() < before - 40, "of 60 MB"
    assert len(kept) == 60_000
