"""Features of images outside the pool, as the run would have made them: labelled examples.

The bytes go through the same decoding, preprocessing, batches and network as those of the pool, so
that an image of the pool gets its own features back.

Legend: N images, C classes, D stored features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from selector.scoring.decode_job import DecodeOptions, DecodeTimes, decode_jobs, run_decode_job
from selector.scoring.features import (
    KIND,
    FeaturePlan,
    FeatureStore,
    basis_uri,
    make_feature_plan,
)
from selector.scoring.pca import read_pca
from selector.scoring.ring import Slot, make_slot
from selector.scoring.run_teacher import RunTeacher, teacher_of_run
from selector.scoring.workers import Urgency, Workers
from selector.tables.facts import FactTable, find_fact
from selector.tables.layout import RunLayout
from selector.teachers.exported import Threads
from selector.teachers.load import Teacher
from selector.teachers.open_runtime import RuntimeDescription, open_runtime, recorded_name, why_not
from selector.teachers.taps import parse_taps
from shards.errors import ImageStatus, UsageError
from shards.sample import Member, Sample, SampleEntry


@dataclass(frozen=True, eq=False)
class Extracted:
    """What the teacher makes of N images.

    Attributes:
        vectors: (N, D) float16, zeros where not valid.
        valid: (N,) bool; False where an image failed or its features or logits are not finite.
        logits: (N, C) float32, zeros where not valid.
        status: "ok", or why an image failed; "crashed" where the teacher broke down.
        error: text for those that failed.
    """

    vectors: npt.NDArray[np.float16]
    valid: npt.NDArray[np.bool_]
    logits: npt.NDArray[np.float32]
    status: list[ImageStatus]
    error: list[str | None]


class FeatureExtractor:
    """A run's teacher with its taps and components; call it with encoded images.

    Attributes:
        fact: the table of features that its vectors compare with.
        teacher: as loaded.

    Raises:
        UsageError: features of another teacher, or made by another version of coursepack.
    """

    def __init__(
        self, known: RunTeacher, fact: FactTable, layout: RunLayout, *, device: str, threads: int
    ) -> None:
        self.fact = fact
        self.teacher = known.load(device=device)
        taps = parse_taps(fact.about["taps"])
        name = known.spec.runtime
        assert name != "auto"  # a run knows what it was scored with
        recorded = recorded_name(name, known.device)
        if why_not(name, self.teacher):  # another machine than scored: equal but for rounding
            name = "eager"
        self._runtime = open_runtime(
            name, self.teacher, taps=taps, batch_size=known.batch_size, threads=Threads(threads)
        )
        described = RuntimeDescription(recorded, self._runtime.stages)
        plan = make_feature_plan(self.teacher, described, taps)
        if fact.about["mode"] == "pca":
            pca = read_pca(basis_uri(layout, plan, fact.about["dim"]))
            plan = make_feature_plan(self.teacher, described, taps, pca=pca)
        _refuse_difference(fact, plan, self.teacher)
        self._store = FeatureStore(plan, device=device)
        self._dim = plan.dim
        self._batch_size = known.batch_size
        self._options = DecodeOptions(
            image_ext=known.spec.image_extensions,
            limits=known.spec.limits,
            preprocessing=self.teacher.preprocessing,
        )
        self._workers = Workers(threads, name="extract")

    def __call__(self, images: Sequence[bytes]) -> Extracted:
        """Decode and run any number of encoded images; the memory of a batch a thread."""
        size = self._batch_size
        batches = [images[begin : begin + size] for begin in range(0, len(images), size)]
        jobs = [self._workers.submit(Urgency.MODEL, self._run, batch) for batch in batches]
        found = [self._empty(), *(job.result() for job in jobs)]
        return Extracted(
            vectors=np.concatenate([one.vectors for one in found]),
            valid=np.concatenate([one.valid for one in found]),
            logits=np.concatenate([one.logits for one in found]),
            status=[status for one in found for status in one.status],
            error=[error for one in found for error in one.error],
        )

    def close(self) -> None:
        """End the threads."""
        self._workers.close()

    def _empty(self) -> Extracted:
        return Extracted(
            vectors=np.zeros((0, self._dim), np.float16),
            valid=np.zeros(0, bool),
            logits=np.zeros((0, self.teacher.num_classes), np.float32),
            status=[],
            error=[],
        )

    @torch.inference_mode()
    def _run(self, images: Sequence[bytes]) -> Extracted:
        slot = self._slot()
        samples = (self._sample(index, data) for index, data in enumerate(images))
        for work in decode_jobs(slot, samples):
            run_decode_job(slot, work, self._options)
        answer = self._runtime.answer(slot.batch_NCHW)
        assert answer.features is not None
        features = self._store(answer.features)
        logits = answer.logits.cpu().numpy()[: len(images)]
        for row in np.flatnonzero(~np.isfinite(logits).all(axis=1)):
            if slot.rows.status[row] == "ok":
                slot.rows.fail(int(row), "crashed", "the teacher's logits are NaN or infinite")
        slot.rows.set_features(features.values.cpu().numpy(), features.valid.cpu().numpy())
        assert slot.rows.features is not None
        assert slot.rows.has_features is not None
        valid = slot.rows.has_features
        return Extracted(
            vectors=np.where(valid[:, None], slot.rows.features, np.float16(0)),
            valid=valid,
            logits=np.where(valid[:, None], logits, np.float32(0)),
            status=slot.rows.status,
            error=slot.rows.error,
        )

    def _slot(self) -> Slot[DecodeTimes]:
        return make_slot(self._batch_size, self.teacher.preprocessing.input_size)

    def _sample(self, index: int, data: bytes) -> Sample:
        extension = self._options.image_ext[0]  # what it is, its bytes tell
        member = Member(f"{index}.{extension}", extension, 0, len(data))
        return Sample(SampleEntry(index, str(index), (member,)), (data,))


@contextmanager
def open_extractor(
    run: str | RunLayout,
    *,
    which: str | None = None,
    weights: str | None = None,
    device: str | None = None,
    threads: int = 1,
    allow_code: bool = False,
) -> Iterator[FeatureExtractor]:
    """The extractor of one of a run's tables of features. Until it closes, torch has one thread.

    Args:
        which: id or name of the features; None = the newest.
        weights: where the teacher's weights are now, if not where they were.
        device: None = the run's, or the CPU where that is a GPU that is not here.
        threads: each runs whole batches.
        allow_code: the teacher runs code that the user trusts, as when the run was scored.

    Raises:
        UsageError: the run has no features, or they were made with another teacher.
    """
    layout = run if isinstance(run, RunLayout) else RunLayout(run)
    fact = find_fact(layout, KIND, which)
    known = teacher_of_run(layout, weights=weights, allow_code=allow_code)
    if device is None:
        device = known.device if torch.cuda.is_available() else "cpu"
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as in scoring: the order of sums depends on it
    try:
        extractor = FeatureExtractor(known, fact, layout, device=device, threads=threads)
        try:
            yield extractor
        finally:
            extractor.close()
    finally:
        torch.set_num_threads(before)


def _refuse_difference(fact: FactTable, plan: FeaturePlan, teacher: Teacher) -> None:
    if plan.fact_id == fact.fact_id:
        return
    differ = [
        f"{name}: {fact.about.get(name)!r} in the table, {value!r} here"
        for name, value in plan.about.items()
        if fact.about.get(name) != value
    ]
    raise UsageError(
        f"features {fact.name or fact.fact_id} cannot be made of new images with {teacher.name}: "
        f"{'; '.join(differ)}; make them again with --features, or restore what differs"
    )
