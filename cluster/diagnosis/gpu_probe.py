"""Do the GPUs of this machine work? Each multiplies two small matrices, in a process of its own.

A process of its own, because a broken driver may end the one that asks, and because Ray hides GPUs
from tasks that claim none.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 120.0

_PROGRAM = """
import json, torch
names, broken = [], []
for index in range(torch.cuda.device_count()):
    names.append(torch.cuda.get_device_name(index))
    try:
        ones = torch.ones(256, 256, device=f"cuda:{index}")
        total = float((ones @ ones).sum())
        if total != 256.0 ** 3:
            broken.append(f"GPU {index} computes wrongly: {total} in place of {256.0 ** 3}")
    except Exception as error:
        broken.append(f"GPU {index}: {str(error).splitlines()[0]}")
print(json.dumps({"names": names, "broken": broken}))
"""


@dataclass(frozen=True)
class GpuFacts:
    """GPUs of a machine.

    Attributes:
        devices: How many the kernel knows (/dev/nvidia0, ...).
        names: Those that torch sees.
        broken: What is wrong with them, one line each.
    """

    devices: int = 0
    names: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()


def probe_gpus() -> GpuFacts:
    """Look for GPUs, and let each of them compute; a machine without any answers at once."""
    devices = len(list(Path("/dev").glob("nvidia[0-9]*")))
    if not devices:
        return GpuFacts()
    environment = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env=environment, capture_output=True, text=True, timeout=TIMEOUT_S,
        )  # fmt: skip
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return GpuFacts(devices, (), (f"torch does not answer within {TIMEOUT_S:.0f} s",))
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        return GpuFacts(devices, (), (f"torch cannot use them: {last}",))
    return GpuFacts(devices, tuple(found["names"]), tuple(found["broken"]))
