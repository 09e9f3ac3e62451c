"""How the engine scales, with stages that do nothing or sleep in place of the model.

    python -m benchmarks.dispatch_scale empty [--shards 100000] [--workers 2] --work DIR
    python -m benchmarks.dispatch_scale sleep [--executors local ray] [--workers 1 2 4 8 16 32]
    python -m benchmarks.dispatch_scale tail [--workers 16]

`empty`: so many shards of which nothing is computed, but whose ledger markers are written as those
of real parts: dispatched parts per second, peak memory of the driver, and, with 1 % of the markers
removed, how long a second call takes to find out what is missing and to do it.

`sleep`: one second per shard, twenty shards per worker: efficiency = the least time that so many
workers can take / the time from the first task given out, which is when all workers are ready, to
the last result. The figure with the start-up is told beside it.

`tail`: twenty shards per worker of 0.2 to 5 s and four of 30 s, whole and split into pieces of at
most 5 s; and the same with two shards per worker, where the largest set the pace. Efficiency
against the sum of all seconds spread evenly over the workers.

Prints one JSON line per measurement. Nothing here imports torch.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.ray_store import store_use
from benchmarks.sleep_stage import SleepStage, SleepTask
from cluster.dispatch import Finished, dispatch
from cluster.ledger import Ledger, short_hash
from cluster.local_executor import ProcessPool
from cluster.pool_manifest import check_markers, compare
from cluster.provenance import now, usable_cores, versions
from cluster.worker_pool import Ready, WorkerPool
from selector.tables.layout import part_name
from shards.file_info import FileInfo
from shards.manifest import PoolManifest


class Together:
    """A pool whose workers are ready when the last of them is: what is measured is dispatching.

    Attributes:
        begun: When it was made.
        ready_at: When the last worker was ready; the first task is given out then.
    """

    def __init__(self, pool: WorkerPool, workers: int) -> None:
        self._pool = pool
        self._workers = workers
        self._ready: list[Ready] = []
        self.begun = time.monotonic()
        self.ready_at = 0.0

    def __getattr__(self, name: str) -> object:
        return getattr(self._pool, name)

    def wait(self, timeout_s: float) -> object:
        if self._workers == 0 and self._ready:
            return self._ready.pop()
        event = self._pool.wait(timeout_s)
        if not isinstance(event, Ready):
            return event
        self._workers -= 1
        self._ready.append(event)
        self.ready_at = time.monotonic()
        return self._ready.pop() if self._workers == 0 else None


def listing(shards: int) -> list[FileInfo]:
    """Shards that nobody has to have on a disk."""
    return [
        FileInfo(f"s3://a-bucket/a-pool/train/{number:06d}.tar", 10**8, f"etag-{number}")
        for number in range(shards)
    ]


def to_do(ledger: Ledger, found: Sequence[FileInfo]) -> list[SleepTask]:
    """What `score` asks at its start: manifest, markers, what is missing."""
    manifest, _ = PoolManifest().extend(found)
    done = ledger.listing()
    check_markers(manifest, done)
    state = compare(manifest, found, done)
    return [
        SleepTask(part_name(entry.shard_id, 0), etag=short_hash(entry.etag)) for entry in state.todo
    ]


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def empty(work: Path, shards: int, workers: int) -> Iterator[dict[str, object]]:
    shutil.rmtree(work, ignore_errors=True)
    ledger = Ledger(str(work / "ledger"))
    before_mb = peak_mb()
    for call in ("whole", "resume at 99 %"):
        begun = time.monotonic()
        tasks = to_do(ledger, listing(shards))
        asked_s = time.monotonic() - begun
        pool = ProcessPool(SleepStage(ledger.folder))
        count = 0
        for outcome in dispatch(pool, tasks, workers=workers):
            count += isinstance(outcome, Finished)
        pool.close()
        seconds = time.monotonic() - begun - asked_s
        yield {
            "benchmark": "dispatch_empty", "call": call, "shards": shards, "workers": workers,
            "parts_done": count, "seconds_to_know_what_is_missing": round(asked_s, 2),
            "seconds": round(seconds, 1), "parts_per_s": round(count / seconds),
            "driver_mb_at_start": round(before_mb), "driver_peak_mb": round(peak_mb()),
        }  # fmt: skip
        for number, marker in enumerate(sorted((work / "ledger").iterdir())):
            if number % 100 == 0:
                marker.unlink()
    assert count == -(-shards // 100)
    shutil.rmtree(work)


def timed(executor: str, tasks: Sequence[SleepTask], workers: int) -> dict[str, object]:
    """Dispatch `tasks` and tell how well the workers were used."""
    extra: dict[str, object] = {}
    if executor == "ray":
        import ray

        from cluster.ray_executor import ActorResources, RayPool

        ray.init(
            address="local",
            num_cpus=workers, include_dashboard=False, object_store_memory=80_000_000,
            log_to_driver=False,
        )  # fmt: skip
        inner: WorkerPool = RayPool(ray, SleepStage(), resources=ActorResources(num_cpus=1))
    else:
        inner = ProcessPool(SleepStage())
    pool = Together(inner, workers)
    ended = 0.0
    for outcome in dispatch(pool, tasks, workers=workers):  # type: ignore[arg-type]
        if isinstance(outcome, Finished):
            ended = time.monotonic()
    pool.close()
    if executor == "ray":
        use = store_use(ray.get_runtime_context().gcs_address)
        extra = {"spilled_bytes": use.spilled_bytes, "created_bytes": use.created_bytes}
        ray.shutdown()
        assert use.spilled_bytes == 0
        assert use.created_bytes < 50_000_000
    work_s = sum(task.seconds for task in tasks)
    wall_s = ended - pool.ready_at
    return {
        "executor": executor, "workers": workers, "tasks": len(tasks),
        "work_s": round(work_s, 1), "wall_s": round(wall_s, 2),
        "efficiency": round(work_s / (workers * wall_s), 4),
        "efficiency_with_start_up": round(work_s / (workers * (ended - pool.begun)), 4),
        "all_ready_after_s": round(pool.ready_at - pool.begun, 2),
        **extra,
    }  # fmt: skip


def sleep(executors: Sequence[str], workers: Sequence[int]) -> Iterator[dict[str, object]]:
    for executor in executors:
        for count in workers:
            tasks = [SleepTask(f"{number:06d}", 1.0) for number in range(20 * count)]
            yield {"benchmark": "dispatch_sleep", **timed(executor, tasks, count)}


def tail(executors: Sequence[str], workers: int) -> Iterator[dict[str, object]]:
    chance = random.Random(0)
    seconds = [chance.uniform(0.2, 5.0) for _ in range(20 * workers)] + [30.0] * 4
    whole = [SleepTask(f"{number:06d}", value) for number, value in enumerate(seconds)]
    pieces = [
        SleepTask(f"{task.name}-{piece}", task.seconds / count)
        for task in whole
        for count in [-(-int(task.seconds * 1000) // 5000)]
        for piece in range(count)
    ]
    few = [*whole[: 2 * workers], *whole[-4:]]  # so few that the largest set the pace
    few_pieces = [piece for piece in pieces if piece.name[:6] in {task.name for task in few}]
    for executor in executors:
        for name, tasks in (
            ("whole", whole), ("split", pieces), ("few, whole", few), ("few, split", few_pieces),
        ):  # fmt: skip
            yield {"benchmark": "dispatch_tail", "arm": name, **timed(executor, tasks, workers)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["empty", "sleep", "tail"])
    parser.add_argument("--shards", type=int, default=100_000)
    parser.add_argument("--workers", type=int, nargs="+")
    parser.add_argument("--executors", nargs="+", default=["local", "ray"])
    parser.add_argument("--work", type=Path, default=Path("/tmp/dispatch-scale"))
    options = parser.parse_args()
    if options.what == "empty":
        lines = empty(options.work, options.shards, (options.workers or [2])[0])
    elif options.what == "sleep":
        lines = sleep(options.executors, options.workers or [1, 2, 4, 8, 16, 32])
    else:
        lines = tail(options.executors, (options.workers or [16])[0])
    for line in lines:
        stamp = {"at": now(), "cores": usable_cores(), "versions": versions()}
        print(json.dumps(line | stamp), flush=True)


if __name__ == "__main__":
    main()
