"""One shard in, one part out: the model loop, with reading, decoding and writing around it.

    reader thread -> samples -> workers decode -> ring of batches -> workers run the model
                                                                 -> writer thread -> Parquet

The caller's thread only waits and passes on, in order. The model is always run on whole batches of
one shape by one thread, and an image's place in its batch follows from its index alone, so the
bytes of a part do not depend on threads, timing or how a shard was divided into tasks.

Features come from the same decoding and the same pass as the scores. Where scores are an average
over several views of an image, each crop has its own memory in the ring.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import replace
from time import perf_counter
from types import TracebackType
from typing import Literal

import torch

from selector.memory import give_memory_back, keep_memory_between_batches
from selector.scoring.decode_job import Breadcrumb, DecodeOptions, DecodeTimes
from selector.scoring.features import FeaturePlan
from selector.scoring.forward import Forward, Reply
from selector.scoring.lane import open_lane
from selector.scoring.part_counters import complete, count_rows, take_features
from selector.scoring.reading import EndOfShard, ReadItem, read_shard
from selector.scoring.retried import RetriedRows
from selector.scoring.ring import Ring, Slot
from selector.scoring.scored_rows import ScoredRows
from selector.scoring.spec import ScoreSpec
from selector.scoring.task import HALVED_TO, PartResult, ScoreTask
from selector.scoring.workers import Lane, Urgency, Workers
from selector.scoring.writing import PartWriter
from selector.teachers.exported import Threads
from selector.teachers.input_pixels import decode_arguments
from selector.teachers.load import load_teacher
from selector.teachers.open_runtime import open_runtime
from selector.teachers.views import VIEWS
from shards.decode_trial import DecodeTrial
from shards.errors import UsageError

__all__ = ["PartResult", "ScoreTask", "ShardScorer"]

_PATIENCE_S = 10.0
"""How long a reader may take to notice that nobody wants its samples any more."""

_MEMORY_KEPT_S = 5.0
"""Between two parts, free memory is handed back if that is as long ago: it takes 15 ms."""


class ShardScorer:
    """A loaded teacher with its threads and memory; scores one part after another.

    Until `close`, torch computes with one thread per caller in the whole process.

    Args:
        spec: what to compute.
        batch_size: images per forward pass; see `cluster.batch_size` for usual ones.
        threads: computing threads, which decode and, on a CPU, run the model.
        device: torch device of the teacher; another than "cpu" has a thread of its own.
        breadcrumb: told which images are being decoded, for whoever survives a crash.
        features: stored beside the scores; None = scores alone, which are the same bytes.
        lane: decodes beside the threads; "auto" = a GPU that can, where `decode` is fast.

    Attributes:
        forward: the pass that it runs, and `models` the threads that run it.
        decoders: the threads that decode, with the lane.
        why_no_lane: empty where there is one.

    Raises:
        UsageError, StorageError: as `load_teacher` and `open_runtime`; a senseless batch size or
            thread count; taps that the teacher does not have.
    """

    def __init__(
        self,
        spec: ScoreSpec,
        *,
        batch_size: int,
        threads: int,
        device: str = "cpu",
        breadcrumb: Breadcrumb | None = None,
        features: FeaturePlan | None = None,
        lane: Lane | Literal["auto"] | None = "auto",
    ) -> None:
        if batch_size < 1 or threads < 1:
            raise UsageError(f"batch size {batch_size}, threads {threads}: expected at least 1")
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(1)  # of each worker; there are `threads` of them
        keep_memory_between_batches()
        self._memory_given_back = perf_counter()
        self.teacher = load_teacher(spec.teacher_spec, device=device)
        self.batch_size = batch_size
        assert spec.runtime != "auto"  # the driver has chosen
        runtime = open_runtime(
            spec.runtime,
            self.teacher,
            taps=() if features is None else features.taps,
            batch_size=batch_size,
            threads=Threads(callers=threads),
        )
        self._views = VIEWS[spec.views]
        self.forward = Forward(runtime, features, device=device, mirrored=self._views.mirrored)
        self._features = features
        self._spec = spec
        self._breadcrumb = breadcrumb
        self._on_images: Callable[[int], None] | None = None
        self.why_no_lane = "" if lane else "none was asked for"
        if lane == "auto":
            lane, self.why_no_lane = open_lane(
                self.teacher.preprocessing, crops=self._views.crops, device=device
            )
        self.decoders = Workers(threads, name="compute", lane=lane)
        self.models = self.decoders if device == "cpu" else Workers(1, name="model")
        # A GPU computes the next batch while results of the one before travel back.
        self._in_flight = len(self.models) if device == "cpu" else 2
        self._ring = self._new_ring()

    def __enter__(self) -> ShardScorer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def report_to(self, breadcrumb: Breadcrumb, on_images: Callable[[int], None]) -> None:
        """From now on tell what is being decoded, and how many images are done."""
        self._breadcrumb, self._on_images = breadcrumb, on_images

    def close(self) -> None:
        """End the threads; torch computes with as many as before again."""
        self.decoders.close()
        if self.models is not self.decoders:
            self.models.close()
        torch.set_num_threads(self._threads_before)

    def score(self, task: ScoreTask) -> PartResult:
        """Score one part; its files appear whole or not at all.

        Every sample becomes a row, in order, whatever its image is. A truncated shard yields the
        samples in front of the damage and counts as damaged.

        Raises:
            ShardError: the shard is no tar.
            StorageError: the shard cannot be read, or the part not written; for a task of
                `facts_only` or `retry`, the shard is another than was scored.
            UsageError: task.start is no multiple of the batch size.
        """
        if task.start % self.batch_size:
            raise UsageError(
                f"part {task.name} starts at {task.start}, which is no multiple of the batch size "
                f"{self.batch_size}"
            )
        begin = perf_counter()
        trial = self._trial() if task.suspects or task.careful else None
        scored = retried = None
        if task.retry:
            retried = RetriedRows(task)
            task = replace(task, stop=retried.stop)
        if task.facts_only:
            scored = ScoredRows(task)
            crashed = tuple(scored.crashed | set(task.crashed))
            task = replace(task, stop=scored.stop, crashed=crashed)
        options = DecodeOptions(
            image_ext=self._spec.image_extensions,
            limits=self._spec.limits,
            preprocessing=self.teacher.preprocessing,
            crops=1 if task.facts_only else self._views.crops,
            crashed=frozenset(task.crashed),
            only=None if retried is None else retried.only,
            breadcrumb=self._breadcrumb,
            trial=trial.verdict if trial else None,
            suspects=None if task.careful else frozenset(task.suspects),
        )
        batches: queue.SimpleQueue[ReadItem] = queue.SimpleQueue()
        reader = threading.Thread(
            target=read_shard,
            args=(task,),
            kwargs={
                "ring": self._ring,
                "workers": self.decoders,
                "options": options,
                "out": batches,
            },
            name="shard-reader",
            daemon=True,
        )
        counters: defaultdict[str, float] = defaultdict(float)
        running: deque[_Running] = deque()
        try:
            with retried or PartWriter(task, self._features) as writer:
                reader.start()
                end = self._pass_on(batches, running, writer, counters, scored)
                if scored is not None:
                    scored.finish()
        finally:
            self._settle(reader, running)
            if trial is not None:
                trial.close()
            if perf_counter() - self._memory_given_back > _MEMORY_KEPT_S:
                give_memory_back()
                self._memory_given_back = perf_counter()
        counters["problems"] = len(end.problems)
        for kind, count in Counter(problem.kind for problem in end.problems).items():
            counters[f"problem_{kind}"] = count
        counters["damaged"] = end.is_damaged
        counters["wait_write_s"] = writer.wait_s
        counters["write_s"] = writer.work_s
        for size in self.forward.take_halvings():
            counters["forward_halved"] += 1
            counters[f"{HALVED_TO}{size}"] += 1
        counters["wall_s"] = perf_counter() - begin
        if retried is None:
            return PartResult(task.name, writer.paths, complete(counters))
        counters.update(retried.counters())
        return PartResult(task.name, writer.paths, complete(counters), retried.totals())

    def _pass_on(
        self,
        batches: queue.SimpleQueue[ReadItem],
        running: deque[_Running],
        writer: PartWriter | RetriedRows,
        counters: defaultdict[str, float],
        scored: ScoredRows | None,
    ) -> EndOfShard:
        """Batches from the reader to the model as they are decoded, and on to the writer."""

        def finish_oldest() -> None:
            asked = perf_counter()
            slot, answer = running.popleft()
            reply = answer.result()
            reply.wait()
            rows = slot.rows
            rows.set_scores(reply.scores)
            if self._features is not None:
                take_features(rows, reply, counters)
            # From here on the slot is the reader's, which begins new rows in it at once.
            self._ring.give_back(slot)
            counters["forward_s"] += reply.forward_s
            counters["model_s"] += perf_counter() - asked
            count_rows(rows, counters)
            if scored is not None:
                counters["features_differ"] += scored.check(rows)
            writer.put(rows)
            if self._on_images is not None:
                self._on_images(len(rows))

        while True:
            asked = perf_counter()
            item = batches.get()
            read = perf_counter()
            counters["wait_read_s"] += read - asked
            if not isinstance(item, Slot):
                break
            for job in item.jobs:
                for name, seconds in vars(job.result()).items():
                    counters[name] += seconds
            counters["wait_decode_s"] += perf_counter() - read
            # Of `scored` the scores are there already, and facts are of the teacher's own view.
            answer = self.models.submit(
                Urgency.MODEL, self.forward, item.crops, item.rows, scored is not None
            )
            running.append((item, answer))
            if len(running) == self._in_flight:
                finish_oldest()
        if isinstance(item, BaseException):
            raise item
        while running:
            finish_oldest()
        return item

    def _settle(self, reader: threading.Thread, running: deque[_Running]) -> None:
        """After success, failure or Ctrl-C: no thread touches the ring any more, all slots free."""
        self._ring.close()
        if reader.ident is not None:
            reader.join(_PATIENCE_S)
        wait([answer for _, answer in running])
        if reader.is_alive():
            # It hangs in a dead file system. The old ring is closed; it gets nothing from it.
            self._ring = self._new_ring()
            return
        wait([job for slot in self._ring for job in slot.jobs])
        self._ring.restore()

    def _trial(self) -> DecodeTrial:
        return DecodeTrial(limits=self._spec.limits, **decode_arguments(self.teacher.preprocessing))

    def _new_ring(self) -> Ring[DecodeTimes]:
        return Ring(
            num_slots=self._in_flight + 3,
            batch_size=self.batch_size,
            input_size=self.teacher.preprocessing.input_size,
            crops=self._views.crops,
            pinned=self.teacher.device.startswith("cuda"),
        )


_Running = tuple[Slot[DecodeTimes], Future[Reply]]
