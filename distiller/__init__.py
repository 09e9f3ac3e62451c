"""Train a student from a teacher and a folder of selected shards.

`distill(load_config("distill.yaml"))` does it and returns a `DistillResult`: metrics, the path of
the student's weights, and the card that says how they came about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distiller.config import DistillConfig, load_config
    from distiller.trainer import DistillResult, Event, distill

__all__ = ["DistillConfig", "DistillResult", "Event", "distill", "load_config"]

_HOME = {
    "DistillConfig": "distiller.config",
    "load_config": "distiller.config",
    "DistillResult": "distiller.trainer",
    "Event": "distiller.trainer",
    "distill": "distiller.trainer",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: torch takes seconds, `--help` must not."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
