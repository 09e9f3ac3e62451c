"""Probing as a stage: a worker scores ranges of a few shards for some seconds, and keeps the time.

The ranges run through the very stage that will do the work, on a worker that was started in the
very way, beside as many others as there will be. What they write goes to a folder that is removed.
"""

from __future__ import annotations

import time
import zlib
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cluster.score_stage import ScoreStage
from cluster.stage import TaskResult
from selector.scoring.shard_scorer import ScoreTask
from selector.tables.run_files import read_parquet
from shards import storage
from shards.errors import ShardError, StorageError
from shards.manifest import ShardEntry

_COUNTED = ("points", "measured_images", "measured_bytes", "written_bytes", "bad_shards")

MAX_POINTS = 24
LEAST_POINTS = 2
_LOOK_BYTES = 4 << 20
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class ProbeTask:
    """Score ranges of `shards` into `run` for about `seconds`, the first range not counted."""

    name: str
    shards: tuple[ShardEntry, ...]
    run: str
    seconds: float

    @property
    def num_bytes(self) -> int:
        return sum(shard.num_bytes for shard in self.shards)


@dataclass(frozen=True)
class ProbeStage:
    """Opens a `ScoreStage` and runs `ProbeTask`s with it."""

    inner: ScoreStage
    name: str = "probe"

    def open(self) -> ProbeWorker:
        return ProbeWorker(self.inner.open(), self.inner.batch_size)


class ProbeWorker:
    """An opened `ProbeStage`."""

    def __init__(self, worker: Any, batch_size: int) -> None:
        self._worker = worker
        self._batch_size = batch_size

    def report_to(self, board: Any) -> None:
        """Pass the executor's board on, so that a slow first batch is not taken for a stuck one."""
        if hasattr(self._worker, "report_to"):
            self._worker.report_to(board)

    def run(self, task: ProbeTask) -> TaskResult:
        """Score one batch to warm up, then ranges of about half of the time left, until it is over.

        Counters: `points`, `x0`, `t0`, `x1`, ... (images padded to whole batches, and seconds);
        over all ranges `measured_images` and `measured_bytes` of the shard files, `written_bytes`,
        `bad_shards`; over all but the first the scorer's own counters; `probe_s`.
        """
        begin = time.perf_counter()
        counters = Counter[str](dict.fromkeys(_COUNTED, 0))
        waiting = deque((shard, 0) for shard in task.shards)
        rate, until = 0.0, 0.0
        while waiting:
            shard, start = waiting.popleft()
            left_s = until - time.perf_counter()
            enough = counters["points"] >= LEAST_POINTS and left_s <= 0
            if enough or counters["points"] >= MAX_POINTS:
                break
            batches = round(rate * left_s / 2) // self._batch_size
            wanted = max(1, batches) * self._batch_size
            try:
                found = self._score(shard, start, wanted, task.run)
            except (ShardError, StorageError):  # the run will tell of it; here another one serves
                counters["bad_shards"] += 1
                continue
            counters.update(found.sums)
            if not found.exhausted:
                waiting.append((shard, start + wanted))
            if not until:  # the first batch finds cold caches and libraries not yet loaded
                until = time.perf_counter() + task.seconds
                if not waiting:  # one tiny shard is all there is
                    waiting.append((shard, 0))
            elif found.images:
                _add_point(counters, found, self._batch_size)
            rate = found.images / found.seconds
        return TaskResult(task.name, (), {**counters, "probe_s": time.perf_counter() - begin})

    def _score(self, shard: ShardEntry, start: int, wanted: int, run: str) -> _Range:
        asked = time.perf_counter()
        part = self._worker.run(ScoreTask(shard=shard, start=start, stop=start + wanted, run=run))
        seconds = time.perf_counter() - asked
        uris = [p if p.startswith(run) else storage.join(run, p) for p in part.paths]
        images = part.counters["images"]
        exhausted = images < wanted
        whole = exhausted and start == 0
        file_bytes = float(shard.num_bytes) if whole else _file_bytes(shard, uris)
        sums = {
            "measured_images": images,
            "measured_bytes": file_bytes if images else 0.0,
            "written_bytes": float(sum(storage.stat(uri).num_bytes for uri in uris)),
        }
        return _Range(images, seconds, exhausted, part.counters, sums)

    def close(self) -> None:
        self._worker.close()


@dataclass(frozen=True)
class _Range:
    """A range that was scored. `exhausted`: the shard ended in it."""

    images: float
    seconds: float
    exhausted: bool
    counters: dict[str, float]
    sums: dict[str, float]


def _add_point(counters: Counter[str], found: _Range, batch_size: int) -> None:
    number = int(counters["points"])
    batches = -(-found.images // batch_size)
    counters.update({"points": 1, f"x{number}": batches * batch_size, f"t{number}": found.seconds})
    counters.update(found.counters)


def _file_bytes(shard: ShardEntry, uris: Sequence[str]) -> float:
    """Bytes of the shard file that hold the samples of a part, headers and padding included."""
    members = next(uri for uri in uris if "/members/" in uri)
    table = read_parquet(members, ["offset", "size"], cure="plan again")
    offsets, sizes = table["offset"].to_pylist(), table["size"].to_pylist()
    if not offsets:
        return 0.0
    ends = (offset + -(-size // 512) * 512 for offset, size in zip(offsets, sizes, strict=True))
    return (max(ends) - (min(offsets) - 512)) * compression(shard.uri)


def compression(uri: str) -> float:
    """Bytes of the file per byte of the tar in it: 1 unless it is compressed."""
    head = storage.read_range(uri, 0, 2)
    if head != _GZIP:
        return 1.0
    data = storage.read_range(uri, 0, _LOOK_BYTES)
    unpacker = zlib.decompressobj(wbits=31)
    produced = len(unpacker.decompress(data))
    return (len(data) - len(unpacker.unused_data)) / produced if produced else 1.0
