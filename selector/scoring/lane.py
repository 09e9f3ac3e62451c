"""A decode lane beside the decode threads: whole jobs, in lists, on the GPU.

It is one more consumer of the queue that the decode threads empty, so each lane takes work as fast
as it does it, and no share has to be guessed. It keeps what it is sure to do as well as the threads
do: large, upright, plain baseline JPEGs (`shards.jpeg_structure`). All the rest of a job goes back
to the threads, ahead of other jobs, because a batch waits for it: other formats, what is damaged,
and everything that has failed here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import NamedTuple

import torch

from selector.scores.hashes import GREY_SIDE, content_hash, phash
from selector.scoring.decode_job import DecodeOptions, DecodeTimes, run_decode_job
from selector.scoring.list_decoder import (
    INTERPOLATIONS,
    DecodedList,
    ListDecoder,
    TorchvisionDecoder,
)
from selector.scoring.ring import Slot
from selector.scoring.workers import Urgency, Work, Workers
from selector.teachers.preprocess import MAX_RESIZED_PIXELS, Preprocessing
from shards.errors import ImageError
from shards.jpeg_structure import plain_baseline
from shards.sample import Data, Sample

LEAST_PIXELS = 128 * 128
"""Smaller images cost a decode thread less than the lane's launches."""

_LIST_PIXELS = 64_000_000
"""Of one list: decoded, they are in the memory of the GPU at once, which the network needs."""

_PATIENCE = 3
"""Lists in a row that may fail before the lane is closed: then it is not the images."""


class _Item(NamedTuple):
    """One image that the lane takes."""

    job: _Job
    row: int
    sample: Sample
    data: Data
    size: tuple[int, int]


@dataclass(eq=False)
class _Job:
    """One decode job in hand.

    Attributes:
        rest: what goes back to the threads.
    """

    work: Work
    slot: Slot[DecodeTimes]
    options: DecodeOptions
    times: DecodeTimes = field(default_factory=DecodeTimes)
    rest: list[tuple[int, Sample]] = field(default_factory=list)


class DecodeLane:
    """Does decode jobs with a list decoder (`selector.scoring.workers.Lane`).

    Args:
        most: jobs at once; a job is up to 16 images.
    """

    def __init__(self, decoder: ListDecoder, *, most: int = 4) -> None:
        self._decoder = decoder
        self.most = most
        self._failures = 0

    def run(self, taken: list[Work], workers: Workers) -> None:
        """Decode what suits, give the rest back."""
        jobs = []
        for work in taken:
            if work.function is run_decode_job and self._failures < _PATIENCE:
                slot, samples, options = work.args
                job = _Job(work, slot, options)
                job.rest += samples
                jobs.append(job)
            else:
                work.run()
        if not jobs:
            return
        begin = perf_counter()
        try:
            with _crumb(jobs[0]):
                for some in _lists([item for job in jobs for item in _suitable(job)]):
                    self._decode(some)
        except BaseException as error:  # whoever waits for the batch raises it
            for job in jobs:
                job.work.future.set_exception(error)
            return
        jobs[0].times.lane_s += perf_counter() - begin
        for job in jobs:
            _finish(job, workers)

    def _decode(self, items: Sequence[_Item]) -> None:
        """Fill the rows of these images, or leave them to the threads."""
        try:
            found = self._decoder([item.data for item in items])
        except Exception:
            # Whatever it is, from a bitstream that it does not like to a GPU that is full: the
            # threads need no lane, and say what is wrong with an image if something is.
            self._failures += 1
            items[0].job.times.lane_failures += 1
            if torch.cuda.is_initialized():
                torch.cuda.empty_cache()
            return
        self._failures = 0
        _store(items, found)


@contextmanager
def _crumb(job: _Job) -> Iterator[None]:
    """The first image in hand is suspected, should this take the process down.

    One will do: where there are suspects the lane rests, and the threads find out which it was.
    """
    crumb, entry = job.options.breadcrumb, job.rest[0][1].entry
    if crumb is None or not entry.members:
        yield
        return
    crumb.begin(entry.index, entry.members[0].offset, entry.members[0].size)
    try:
        yield
    finally:
        crumb.end()


def _suitable(job: _Job) -> Iterator[_Item]:
    """Images of the job that the lane decodes; they stay in `rest` until they are decoded."""
    options = job.options
    if options.trial is not None or options.crops != 1:
        return
    for row, sample in job.rest:
        index = sample.entry.index
        wanted = options.only is None or index in options.only
        if not wanted or index in options.crashed or sample.error is not None:
            continue
        found = sample.image(options.image_ext)
        if found is None:
            continue
        header = plain_baseline(found[1])
        if header is None:
            continue
        size = header.height, header.width
        if math.prod(size) <= LEAST_PIXELS or min(size) < GREY_SIDE:
            continue
        if options.preprocessing.orientation == "exif" and header.orientation != 1:
            continue
        try:
            options.limits.check_encoded(len(found[1]))
            options.limits.check_size(*size[::-1])
        except ImageError:
            continue  # the threads say so
        if math.prod(options.preprocessing.resized_size(*size)) > MAX_RESIZED_PIXELS:
            continue
        yield _Item(job, row, sample, found[1], size)


def _lists(items: Sequence[_Item]) -> Iterator[list[_Item]]:
    """All items in lists of bounded size, at least one in each."""
    some: list[_Item] = []
    pixels = 0
    for item in items:
        if some and pixels + math.prod(item.size) > _LIST_PIXELS:
            yield some
            some, pixels = [], 0
        some.append(item)
        pixels += math.prod(item.size)
    if some:
        yield some


def _store(items: Sequence[_Item], found: DecodedList) -> None:
    hashes = phash(found.thumbnails_NHW).tolist()
    for number, item in enumerate(items):
        if found.sizes[number] != item.size:
            continue  # not what the header claims: the threads say so
        slot, row = item.job.slot, item.row
        slot.pixels_NHWC[row] = found.inputs_NHWC[number]
        rows = slot.rows
        rows.num_bytes[row] = len(item.data)
        rows.content_hash[row] = content_hash(item.data)
        rows.height[row], rows.width[row] = item.size
        rows.phash[row] = hashes[number]
        item.job.times.lane_images += 1
        item.job.rest.remove((row, item.sample))


def _finish(job: _Job, workers: Workers) -> None:
    """Whoever waits for the job gets its result: now, or when the threads have done the rest."""
    if not job.rest:
        job.work.future.set_result(job.times)
        return
    times = replace(job.times, lane_returned=float(len(job.rest)))
    rest = workers.submit(Urgency.REST, _run_rest, times, job.slot, job.rest, job.options)

    def hand_over(_: object) -> None:
        error = rest.exception()
        if error is None:
            job.work.future.set_result(rest.result())
        else:
            job.work.future.set_exception(error)

    rest.add_done_callback(hand_over)


def _run_rest(
    times: DecodeTimes,
    slot: Slot[DecodeTimes],
    samples: Sequence[tuple[int, Sample]],
    options: DecodeOptions,
) -> DecodeTimes:
    """In a decode thread."""
    found = vars(run_decode_job(slot, samples, options))
    return DecodeTimes(**{name: value + found[name] for name, value in vars(times).items()})


def why_no_lane(preprocessing: Preprocessing, *, crops: int, device: str) -> str:
    """Why the GPU does not decode; empty if it may try."""
    if preprocessing.decode != "fast":
        return f"decode is {preprocessing.decode}: the GPU's pixels differ from the exact ones"
    if not device.startswith("cuda"):
        return f"the device is {device}"
    if crops != 1:
        return f"{crops} crops are made of every image"
    if preprocessing.resize_mode != "none" and preprocessing.interpolation not in INTERPOLATIONS:
        return f"the GPU has no {preprocessing.interpolation} filter"
    return ""


def open_lane(
    preprocessing: Preprocessing, *, crops: int, device: str
) -> tuple[DecodeLane | None, str]:
    """The lane of a GPU, or None and why there is none."""
    reason = why_no_lane(preprocessing, crops=crops, device=device)
    if reason:
        return None, reason
    try:
        decoder = TorchvisionDecoder(preprocessing, device=device)
        decoder.check()
    except Exception as error:
        # Without torchvision's extension, without nvJPEG in it, or with one that does not suit the
        # driver: each fails in its own way, and the threads decode alone.
        return None, f"torchvision does not decode on {device}: {str(error).splitlines()[0]}"
    return DecodeLane(decoder), ""
