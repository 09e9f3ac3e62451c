"""Progress of a verb that has phases: each is told once as a note, and then by its share."""

from __future__ import annotations

from collections.abc import Callable

from cluster.progress import OnProgress, Progress


def tell_phases(on_progress: OnProgress | None) -> Callable[[str, float], None]:
    """A function of a phase's name and how much of it is done, in [0, 1]."""
    told = ""

    def on_share(doing: str, share: float) -> None:
        nonlocal told
        if on_progress is not None:
            note = doing if doing != told else ""
            on_progress(Progress(min(1.0, share), 1.0, unit="share", note=note))
        told = doing

    return on_share
