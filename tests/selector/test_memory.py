from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from selector.memory import give_memory_back


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


FAULTS = """
import resource, sys
from selector.memory import keep_memory_between_batches
if sys.argv[1] == "kept":
    keep_memory_between_batches()
block = bytearray(20 << 20)  # the largest so far: glibc moves its own threshold up to such a one
del block
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    blocks = [bytearray(8 << 20) for _ in range(6)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has mallopt")
def test_large_blocks_are_asked_of_the_system_once() -> None:
    usual, kept = (
        int(subprocess.check_output([sys.executable, "-c", FAULTS, how], text=True))
        for how in ("usual", "kept")
    )
    assert kept < usual / 4
