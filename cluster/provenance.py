"""Who made a result: code, versions and hardware, recorded beside it and never compared by hash."""

from __future__ import annotations

import datetime
import os
import platform
import socket
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = (
    "coursepack", "torch", "torchvision", "timm", "numpy", "pillow", "simplejpeg", "pyarrow",
    "duckdb", "ray", "onnx", "onnxruntime", "openvino",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Installed version of every package that can change a result, plus Python's."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """Of the code that ran, if it is a checkout; marked where it was changed since."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here, capture_output=True, text=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return head.stdout.strip() or None


def hardware() -> dict[str, Any]:
    """Host name, processor, cores that this process may use, memory, GPUs (if torch is loaded)."""
    return {
        "host": socket.gethostname(),
        "machine": platform.machine(),
        "processor": _processor_name(),
        "cores": usable_cores(),
        "memory_bytes": _memory(),
        "gpus": _gpus(),
    }


def usable_cores() -> int:
    """Cores that this process may run on; fewer than the machine's inside most containers."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_memory() -> int:
    """Bytes of memory that this process may use; less than the machine's inside most containers."""
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.exists() else ""
    return min(_memory(), int(text)) if text.isdigit() else _memory()


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _memory() -> int:
    """Bytes that the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _processor_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _gpus() -> list[str]:
    import torch

    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
