"""Everything that runs: command line, configuration, executors, ledger, and one function per verb.

The verbs are importable from here by the name they have on the command line::

    from cluster import score, select, export, distill

They are loaded on first use, so that `import cluster` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_VERBS = (
    "build", "verify", "info", "resize", "score", "query", "select", "explain",
    "map", "report", "export", "distill", "compress", "doctor",
    "plan", "bench", "submit", "jobs_list", "jobs_status", "jobs_logs", "jobs_stop",
    "status", "runs_list", "runs_gc",
    "duplicates", "compact", "diff",
    "pu_fit", "pu_score", "pu_show", "truth",
    "neighbors_build", "similar", "clusters", "leakage",
    "quantize",
)  # fmt: skip

_TOGETHER = {
    "open_query": "query",
    "runs_list": "runs", "runs_gc": "runs",
    "neighbors_build": "neighbors",
    "jobs_list": "jobs", "jobs_status": "jobs", "jobs_logs": "jobs", "jobs_stop": "jobs",
}  # fmt: skip
"""Verbs of one file: `coursepack runs list` is `cluster.runs_list`, in cluster/verbs/runs.py."""

_FOR_PYTHON = ("open_tables", "open_query")
"""What the command line has no verb for."""

__all__ = [*_VERBS, *_FOR_PYTHON]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f"cluster.verbs.{_TOGETHER.get(name, name)}"), name)
    raise AttributeError(f"module 'cluster' has no attribute {name!r}")
