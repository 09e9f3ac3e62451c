"""`verify`: every byte of every shard read, and what is wrong with them told."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.progress import OnProgress, Progress
from shards import storage
from shards.verify import ShardCheck, VerifyReport
from shards.verify import verify as verify_shards


def verify(
    pool: Sequence[str],
    *,
    decode: bool = False,
    threads: int = 2,
    on_progress: OnProgress | None = None,
) -> VerifyReport:
    """List the problems of shards; nothing is repaired.

    Args:
        pool: Folders, files, globs, brace patterns or URIs of tar shards.
        decode: Decode every image too, so that damaged ones are problems.
        threads: Shards read at the same time.

    Raises:
        UsageError, StorageError: `pool` names no shards. What cannot be read later is a problem.
    """
    total = sum(info.num_bytes for info in storage.expand(pool))
    done = images = 0

    def on_shard(check: ShardCheck) -> None:
        nonlocal done, images
        done, images = done + check.num_bytes, images + check.images
        if on_progress is not None:
            on_progress(Progress(done, total, images=images))

    return verify_shards(pool, decode=decode, threads=threads, on_shard=on_shard)
