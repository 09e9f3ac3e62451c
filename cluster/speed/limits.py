"""What each stage could do if it were alone: storage, tar, decoding, model, copies, writing.

Decoding and the model are measured by the processor seconds of the threads that do them, so that a
limit does not move with what else a machine does; the others by the clock, and so is decoding where
a lane on a GPU takes part in it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter, thread_time
from typing import Any

import torch

from cluster.speed.workload import Workload
from selector.scoring.decode_job import DecodeOptions, DecodeTimes, decode_jobs, run_decode_job
from selector.scoring.features import FeaturePlan
from selector.scoring.forward import Forward
from selector.scoring.ring import Ring, Slot
from selector.scoring.rows import RowBatch
from selector.scoring.spec import ScoreSpec
from selector.scoring.task import ScoreTask
from selector.scoring.workers import Urgency, Workers
from selector.scoring.writing import PartWriter
from selector.teachers.load import Teacher
from selector.teachers.views import VIEWS, Views
from shards import storage
from shards.reader import open_shard

_CHUNK = 1 << 22
_COPIES = 32


@dataclass(frozen=True)
class Rate:
    """Images per second by the clock, and processor seconds an image of the threads that worked.

    The seconds are 0 where they say nothing about how many images there can be.
    """

    images_per_s: float
    cpu_s: float = 0.0


@dataclass(eq=False)
class Bench:
    """Everything that the measurements share.

    Attributes:
        threads: that decode and, on a CPU, run the model, at once.
        forward: the engine's own pass, so that both run the same network, and the same size of
            batch where the memory of a GPU does not hold a whole one.
        features: what is stored beside the scores, or None.
        models: the engine's thread of a GPU, whose CUDA graphs run in no other; None on a CPU.
        decoders: the engine's decode threads, where a lane of a GPU decodes beside them, else None.
    """

    workload: Workload
    spec: ScoreSpec
    teacher: Teacher
    forward: Forward
    features: FeaturePlan | None
    batch_size: int
    threads: int
    models: Workers | None = None
    decoders: Workers | None = None
    decoded: list[Slot[DecodeTimes]] = field(default_factory=list)

    @property
    def device(self) -> str:
        return self.teacher.device

    @property
    def views(self) -> Views:
        return VIEWS[self.spec.views]

    def storage(self) -> Rate:
        """Reading the bytes of the shards in order, not out of this machine's cache if possible."""
        begin = perf_counter()
        for one in self.workload.slices:
            left = one.num_bytes
            with storage.open_stream(one.entry.uri) as file:
                _forget_cached(file)
                while left > 0 and (data := file.read(min(left, _CHUNK))):
                    left -= len(data)
        return self._rate(perf_counter() - begin)

    def tar(self) -> Rate:
        """Walking the tars, by one thread, as the engine's reader does."""
        begin = perf_counter()
        for one in self.workload.slices:
            with open_shard(one.entry.uri) as shard:
                for _ in shard.samples(stop=one.stop):
                    pass
        return self._rate(perf_counter() - begin)

    def decode(self) -> Rate:
        """Decoding, resizing and hashing, in all threads, out of memory."""
        options = DecodeOptions(
            image_ext=self.spec.image_extensions,
            limits=self.spec.limits,
            preprocessing=self.teacher.preprocessing,
            crops=self.views.crops,
        )
        samples = self.workload.samples
        ring: Ring[DecodeTimes] = Ring(
            num_slots=-(-len(samples) // self.batch_size),
            batch_size=self.batch_size,
            input_size=self.teacher.preprocessing.input_size,
            crops=self.views.crops,
            pinned=self.device.startswith("cuda"),
        )
        self.decoded = list(ring)
        left = iter(samples)
        jobs = [(slot, work, options) for slot in self.decoded for work in decode_jobs(slot, left)]
        if self.decoders is not None:  # whose lane takes decode jobs, and nothing that wraps them
            begin = perf_counter()
            done = [self.decoders.submit(Urgency.DECODE, run_decode_job, *job) for job in jobs]
            for one in done:
                one.result()
            return self._rate(perf_counter() - begin)
        wall_s, cpu_s = _in_threads([partial(run_decode_job, *job) for job in jobs], self.threads)
        return Rate(len(samples) / wall_s, cpu_s / len(samples))

    def model(self) -> Rate:
        """A forward pass of every view, and the scores, on decoded batches: after `decode`."""

        def run(slot: Slot[DecodeTimes]) -> None:
            reply = self.forward(slot.crops, slot.rows)
            reply.wait()
            slot.rows.set_scores(reply.scores)
            if reply.features is not None:
                slot.rows.set_features(reply.features.values.numpy(), reply.features.valid.numpy())

        whole = [slot for slot in self.decoded if slot.is_full] or self.decoded
        jobs = [partial(run, slot) for slot in whole]
        wall_s, cpu_s = _in_threads(jobs, self.threads, self.models)
        images = len(whole) * self.batch_size  # a batch that is not full costs as much
        for slot in self.decoded[len(whole) :]:
            _in_threads([partial(run, slot)], self.threads, self.models)
        return Rate(images / wall_s, cpu_s / images)

    def copies(self) -> Rate | None:
        """Pixels from page-locked memory to the GPU; None without one."""
        if self.device == "cpu":
            return None
        crops = [one.pin_memory() for one in self.decoded[0].crops]
        torch.cuda.synchronize()
        begin = perf_counter()
        for _ in range(_COPIES):
            for pixels in crops:
                pixels.to(self.device, non_blocking=True)
        torch.cuda.synchronize()
        return Rate(_COPIES * self.batch_size / (perf_counter() - begin))

    def write(self, folder: str) -> Rate:
        """Rows of the batches into Parquet, by one thread: after `model`."""
        rows = [slot.rows for slot in self.decoded]
        numbered = _as_one_shard(rows)
        entry = self.workload.slices[0].entry
        begin = perf_counter()
        with PartWriter(ScoreTask(shard=entry, run=folder), self.features) as writer:
            for batch in numbered:
                writer.put(batch)
        wall_s = perf_counter() - begin
        shutil.rmtree(folder, ignore_errors=True)
        return self._rate(wall_s)

    def _rate(self, wall_s: float) -> Rate:
        return Rate(self.workload.num_images / wall_s)


def _as_one_shard(batches: Sequence[RowBatch]) -> list[RowBatch]:
    """Number the rows on from 0: samples of several shards are written as those of one."""
    index = 0
    for batch in batches:
        for row, entry in enumerate(batch.entries):
            batch.entries[row] = replace(entry, index=index)
            index += 1
    return list(batches)


def _in_threads(
    jobs: Sequence[Callable[[], object]], threads: int, given: Workers | None = None
) -> tuple[float, float]:
    """Seconds by the clock, and processor seconds of all threads, for all jobs.

    Args:
        threads: of workers that are made for it.
        given: workers to use instead.
    """
    workers = given or Workers(threads, name="bench")
    try:
        begin = perf_counter()
        done = [workers.submit(Urgency.DECODE, _processor_seconds, job) for job in jobs]
        cpu_s = sum(one.result() for one in done)
        return perf_counter() - begin, cpu_s
    finally:
        if given is None:
            workers.close()


def _processor_seconds(job: Callable[[], object]) -> float:
    begin = thread_time()
    job()
    return thread_time() - begin


def _forget_cached(file: Any) -> None:
    """Ask the system to drop its pages of a local file; what it refuses is read from memory."""
    try:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    except (AttributeError, OSError):  # a remote file has no descriptor
        return
