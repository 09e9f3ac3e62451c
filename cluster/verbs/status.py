"""`status`: how far a run is, from its files alone."""

from __future__ import annotations

from cluster.run_status import RunStatus, read_status


def status(run: str) -> RunStatus:
    """Look at a run from anywhere that can read its folder, while it goes or after it stopped.

    Args:
        run: Folder or URI of a run.

    Raises:
        UsageError: no run is there.
        StorageError: its files cannot be read, or are damaged.
    """
    return read_status(run)
