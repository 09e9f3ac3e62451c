"""`resize`: a pool re-sharded once to smaller images."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from cluster.progress import OnProgress, Progress
from cluster.provenance import usable_cores
from shards import storage
from shards.resize import ResizedShard, ResizeReport, Resizing, resize_pool


def resize(
    pool: Sequence[str],
    *,
    out: str,
    how: Resizing,
    threads: int | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> ResizeReport:
    """Write every shard anew with its images resized and all other members kept.

    Calling it again continues: finished shards are not made twice.

    Args:
        pool: Folders, files, globs, brace patterns or URIs of tar shards.
        out: Folder or URI to write to.
        how: Size, filter and encoding.
        threads: Shards at the same time; None = one per usable core.
        overwrite: Replace what another resizing left in `out`.

    Raises:
        UsageError: `out` holds other shards, `pool` names none.
        StorageError: reading or writing failed; finished shards stay.
    """
    total = sum(info.num_bytes for info in storage.expand(pool))
    done = images = 0

    def on_shard(shard: ResizedShard) -> None:
        nonlocal done, images
        done, images = done + shard.num_bytes_in, images + shard.samples
        if on_progress is not None:
            on_progress(Progress(done, total, images=images))

    # Decoding, resizing and encoding release the interpreter's lock, so threads do.
    executor = ThreadPoolExecutor(threads or usable_cores())
    try:
        return resize_pool(
            pool, out, how, executor=executor, overwrite=overwrite, on_shard=on_shard
        )
    finally:  # after Ctrl-C the shards in hand end, those that wait never start
        executor.shutdown(cancel_futures=True)
