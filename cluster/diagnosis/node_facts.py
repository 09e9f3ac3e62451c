"""What one node tells about itself: gathered on that node, judged elsewhere."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cluster.code_fingerprint import code_fingerprint
from cluster.diagnosis.gpu_probe import GpuFacts, probe_gpus
from cluster.provenance import usable_cores, versions


@dataclass(frozen=True)
class NodeFacts:
    """One node, as it sees itself.

    Attributes:
        node: Name for people: host name, and address where Ray knows one.
        versions: Package -> installed version, python among them.
        code: Fingerprint of coursepack's own source files.
        temp_free: Bytes free where temporary files go.
        shm_bytes: Size of /dev/shm in bytes; 0 where there is none.
        open_files: Files that a process may hold open (soft limit).
        clock_ahead_s: Seconds that the node's clock is ahead of the driver's; for the driver 0.
        clock_error_s: How far off `clock_ahead_s` may be: half of the time that asking took.
    """

    node: str
    versions: dict[str, str]
    code: str
    cores: int
    memory_bytes: int
    temp_folder: str
    temp_free: int
    shm_bytes: int
    open_files: int
    gpus: GpuFacts
    clock_ahead_s: float = 0.0
    clock_error_s: float = 0.0
    storage: dict[str, str] = field(default_factory=dict)
    """Shared place -> what is wrong with it seen from here, or ""."""


def node_facts(*, address: str = "") -> NodeFacts:
    """The facts of the machine that this is called on; takes seconds if it has GPUs."""
    host = socket.gethostname()
    return NodeFacts(
        node=f"{host} ({address})" if address else host,
        versions=versions(),
        code=code_fingerprint(),
        cores=usable_cores(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        temp_folder=tempfile.gettempdir(),
        temp_free=shutil.disk_usage(tempfile.gettempdir()).free,
        shm_bytes=_size("/dev/shm"),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        gpus=probe_gpus(),
    )


def _size(folder: str) -> int:
    return shutil.disk_usage(folder).total if Path(folder).is_dir() else 0
