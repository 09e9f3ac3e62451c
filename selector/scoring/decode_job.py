"""Work of a decode thread: some samples in, pixels and hashes in a slot of the ring out.

Thumbnails dominate small pools, and Python per image would bound them. So images of one size are
collected and brought to the teacher's size together; large ones are done one by one, to hold one at
a time in memory. So are those that were reduced by the decoder: of them, decoding takes the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import Protocol

import numpy as np
import numpy.typing as npt

from selector.scores.hashes import GREY_SIDE, content_hash, phash
from selector.scoring.ring import Slot
from selector.teachers.input_pixels import decode_for
from selector.teachers.preprocess import Preprocessing
from selector.teachers.resample import grey_stack, resize_part, whole_size
from selector.teachers.views import crop_stack
from shards.errors import ImageError
from shards.limits import DecodeLimits
from shards.picture import Frame, Picture
from shards.sample import Data, Sample

JOB_ROWS = 16
"""Samples of one job: enough to spread the cost of handing it over, few enough to share work."""

_STACKED_PIXELS = 128 * 128
"""Up to here images wait for others of their size."""


class Breadcrumb(Protocol):
    """Told from decode threads what is being decoded, for whoever survives a crash."""

    def begin(self, index: int, offset: int, size: int) -> None:
        """This thread begins an image: its index in the shard, where its bytes lie in the tar."""
        ...

    def end(self) -> None:
        """The image that this thread began is done."""
        ...


@dataclass(frozen=True)
class DecodeOptions:
    """How samples become pixels.

    Attributes:
        crops: of every image, as many as a slot has room for at most.
        crashed: indexes of samples that are known to kill a process; they are not touched.
        only: indexes of the samples that are wanted; None = all. Others count as failed.
        trial: says in safety why decoding some bytes is fatal; None if it is not.
        suspects: indexes of samples to put to the trial first; None = all of them.
    """

    image_ext: tuple[str, ...]
    limits: DecodeLimits
    preprocessing: Preprocessing
    crops: int = 1
    crashed: frozenset[int] = frozenset()
    only: frozenset[int] | None = None
    breadcrumb: Breadcrumb | None = None
    trial: Callable[[Data], str | None] | None = None
    suspects: frozenset[int] | None = frozenset()


@dataclass
class DecodeTimes:
    """Seconds that decode threads worked, and what a lane beside them did (`scoring.lane`).

    Attributes:
        lane_s: that the lane worked.
        lane_images, lane_returned: images that it decoded, and gave back to the threads.
        lane_failures: lists of images that its decoder failed on; these images are given back.
    """

    decode_s: float = 0.0
    resize_s: float = 0.0
    phash_s: float = 0.0
    lane_s: float = 0.0
    lane_images: float = 0.0
    lane_returned: float = 0.0
    lane_failures: float = 0.0


def decode_jobs(
    slot: Slot[DecodeTimes], samples: Iterator[Sample]
) -> Iterator[list[tuple[int, Sample]]]:
    """Begin rows of a slot, a job's worth at a time, until it is full or the samples end.

    Yields:
        [(row in the slot, sample)], what `run_decode_job` takes.
    """
    while not slot.is_full:
        first = len(slot.rows)
        job = list(islice(samples, min(JOB_ROWS, slot.size - first)))
        if not job:
            return
        slot.rows.extend([sample.entry for sample in job])
        yield list(enumerate(job, first))


def run_decode_job(
    slot: Slot[DecodeTimes], work: Sequence[tuple[int, Sample]], options: DecodeOptions
) -> DecodeTimes:
    """Fill rows of a slot. Nothing that an image does gets out of here: it becomes its status.

    Args:
        slot: written to at the given rows only.
        work: (row in the slot, sample).
    """
    times = DecodeTimes()
    waiting: dict[tuple[int, ...], list[tuple[int, npt.NDArray[np.uint8]]]] = {}
    hashed: list[tuple[list[int], npt.NDArray[np.uint8]]] = []
    for row, sample in work:
        begin = perf_counter()
        picture = _decode(slot, row, sample, options)
        times.decode_s += perf_counter() - begin
        if picture is None:
            continue
        if picture.frame is not None:
            hashed.append(_prepare(slot, [(row, picture.pixels)], options, times, picture.frame))
            continue
        pixels = picture.pixels
        same_size = waiting.setdefault(pixels.shape, [])
        same_size.append((row, pixels))
        if pixels.shape[0] * pixels.shape[1] > _STACKED_PIXELS:
            hashed.append(_prepare(slot, waiting.pop(pixels.shape), options, times))
    hashed += [_prepare(slot, same_size, options, times) for same_size in waiting.values()]
    if hashed:
        begin = perf_counter()
        rows = [row for some, _ in hashed for row in some]
        hashes = phash(np.concatenate([small_NHW for _, small_NHW in hashed])).tolist()
        for row, value in zip(rows, hashes, strict=True):
            slot.rows.phash[row] = value
        times.phash_s += perf_counter() - begin
    return times


def thumbnails(
    pixels_NHW: npt.NDArray[np.uint8], frame: Frame | None = None
) -> npt.NDArray[np.uint8]:
    """(N, 32, 32) uint8, the input of `phash`, of N images of one size, grey or RGB."""
    whole = (0, 0, *whole_size(pixels_NHW, frame))
    return resize_part(grey_stack(pixels_NHW), whole, (GREY_SIDE, GREY_SIDE), "box", frame)


def _decode(
    slot: Slot[DecodeTimes], row: int, sample: Sample, options: DecodeOptions
) -> Picture | None:
    """The sample's image; None for a row that failed, which keeps zeros in the slot."""
    index = sample.entry.index
    rows = slot.rows
    try:
        if options.only is not None and index not in options.only:
            raise ImageError("not asked for", status="read_error")
        if index in options.crashed:
            raise ImageError("this sample killed its process; skipped", status="crashed")
        if sample.error is not None:
            raise ImageError(sample.error, status="read_error")
        found = sample.image(options.image_ext)
        if found is None:
            has = ", ".join(f".{member.extension}" for member in sample.entry.members)
            raise ImageError(
                f"none of its members ({has}) ends in {' '.join(options.image_ext)}",
                status="no_image",
            )
        member, data = found
        rows.num_bytes[row] = len(data)
        _try_first(index, data, options)
        if options.breadcrumb is not None:
            options.breadcrumb.begin(index, member.offset, member.size)
        try:
            # Hashing is the first to touch the bytes of a mapped shard, which may be gone by now.
            rows.content_hash[row] = content_hash(data)
            picture = _picture(data, options)
        finally:
            if options.breadcrumb is not None:
                options.breadcrumb.end()
    except ImageError as error:
        rows.fail(row, error.status, str(error))
        slot.blank(row)
        return None
    rows.height[row], rows.width[row] = picture.height, picture.width
    return picture


def _try_first(index: int, data: Data, options: DecodeOptions) -> None:
    """Let a suspect be decoded by somebody else first; ImageError if that was fatal."""
    if options.trial is None or not (options.suspects is None or index in options.suspects):
        return
    reason = options.trial(data)
    if reason is not None:
        raise ImageError(reason, status="crashed")


def _picture(data: bytes | memoryview, options: DecodeOptions) -> Picture:
    try:
        return decode_for(data, options.preprocessing, limits=options.limits)
    except ImageError:
        raise
    except Exception as error:
        # A decoder that fails in a way of its own on hostile bytes, or runs out of memory, must
        # cost one row, not the shard.
        raise ImageError(f"{type(error).__name__}: {error}", status="undecodable") from error


def _prepare(
    slot: Slot[DecodeTimes],
    same_size: list[tuple[int, npt.NDArray[np.uint8]]],
    options: DecodeOptions,
    times: DecodeTimes,
    frame: Frame | None = None,
) -> tuple[list[int], npt.NDArray[np.uint8]]:
    """Teacher's input of images of one size; their rows, and the thumbnails that are hashed."""
    rows = [row for row, _ in same_size]
    if len(same_size) == 1:
        stack_NHW = same_size[0][1][None]
    else:
        stack_NHW = np.stack([pixels for _, pixels in same_size])
    begin = perf_counter()
    try:
        found_KNHWC = crop_stack(options.preprocessing, options.crops, stack_NHW, frame)
        slot.pixels_KNHWC[: options.crops, rows] = found_KNHWC
    except ImageError as error:
        for row in rows:
            slot.rows.fail(row, error.status, str(error))
        slot.blank(rows)
    resized = perf_counter()
    small_NHW = thumbnails(stack_NHW, frame)
    times.resize_s += resized - begin
    times.phash_s += perf_counter() - resized
    return rows, small_NHW
