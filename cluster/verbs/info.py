"""`info`: what shards hold, from names and headers alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cluster.progress import OnProgress, Progress
from shards import storage
from shards.info import info as info_shards


def info(pool: Sequence[str], *, on_progress: OnProgress | None = None) -> dict[str, Any]:
    """Describe shards: counts, bytes, extensions, sizes of images; see `shards.info`.

    Args:
        pool: Folders, files, globs, brace patterns or URIs of tar shards.

    Raises:
        UsageError, StorageError: `pool` names no shards, or a place fails.
    """
    total, done = len(storage.expand(pool)), 0

    def on_shard(_: str) -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(Progress(done, total, unit="shards"))

    return info_shards(pool, on_shard=on_shard)
