"""The lane with a real decoder, torchvision's on the CPU, in place of the GPU's."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from selector.scoring.decode_job import DecodeOptions, DecodeTimes, run_decode_job
from selector.scoring.lane import DecodeLane, open_lane, why_no_lane
from selector.scoring.list_decoder import DecodedList, ListDecoder, TorchvisionDecoder
from selector.scoring.ring import Ring, Slot
from selector.scoring.workers import Urgency, Workers
from selector.teachers.zoo import default_preprocessing
from shards.limits import DEFAULT_LIMITS
from shards.sample import IMAGE_EXTENSIONS, Data, Member, Sample, SampleEntry
from tests.support import images

FAST = replace(default_preprocessing("torchvision/resnet18"), decode="fast", resize=72, crop=64)
OPTIONS = DecodeOptions(IMAGE_EXTENSIONS, DEFAULT_LIMITS, FAST)
LARGE = [images.jpeg(images.picture(150, 160 + n, seed=n)) for n in range(5)]
DAMAGED = LARGE[0][:-900]


class Decoder(TorchvisionDecoder):
    """The real one; keeps how many images came at once, and fails as often as it is told."""

    def __init__(self, *, failures: int = 0) -> None:
        super().__init__(FAST, device="cpu")
        self.failures = failures
        self.lists: list[int] = []

    def __call__(self, data: Sequence[Data]) -> DecodedList:
        self.lists.append(len(data))
        if self.failures:
            self.failures -= 1
            raise RuntimeError("nvjpegDecodeBatched failed: 8")
        return super().__call__(data)


def sample(index: int, data: bytes, *, extension: str = "jpg", error: str | None = None) -> Sample:
    member = Member(f"k{index}.{extension}", extension, 512, len(data))
    return Sample(SampleEntry(index, f"k{index}", (member,)), (memoryview(data),), error)


def run(
    samples: list[Sample],
    decoder: ListDecoder | None,
    *,
    options: DecodeOptions = OPTIONS,
    per_job: int = 4,
    threads: int = 0,
) -> tuple[Slot[DecodeTimes], dict[str, float]]:
    """All samples as decode jobs; without threads the lane gets each of them first."""
    slot = Ring[DecodeTimes](
        num_slots=1, batch_size=len(samples), input_size=options.preprocessing.input_size
    ).take()
    assert slot is not None
    slot.pixels_NHWC[:] = 99
    for one in samples:
        slot.rows.extend([one.entry])
    lane = None if decoder is None else DecodeLane(decoder)
    workers = Workers(threads, name="test", lane=lane)
    work = list(enumerate(samples))
    for begin in range(0, len(work), per_job):
        job = work[begin : begin + per_job]
        slot.jobs.append(workers.submit(Urgency.DECODE, run_decode_job, slot, job, options))
    workers.close()
    total: dict[str, float] = {}
    for one in slot.jobs:
        for name, value in vars(one.result(timeout=0)).items():
            total[name] = total.get(name, 0.0) + value
    return slot, total


MIXED = [
    sample(0, LARGE[0]),
    sample(1, images.png()),
    sample(2, DAMAGED),
    sample(3, LARGE[1]),
    sample(4, images.TEXT, extension="cls"),
    sample(5, LARGE[2], error="this sample has two images"),
    sample(6, images.jpeg(images.picture(150, 160), progressive=True)),
    sample(7, images.exif_jpeg(6, images.quadrants(160, 150))),
    sample(8, images.jpeg(images.picture(40, 30))),
    sample(9, LARGE[3]),
    sample(10, LARGE[0] + b"\0"),
]
TAKEN = [0, 3, 9]


def assert_alike(found: Slot[DecodeTimes], expected: Slot[DecodeTimes]) -> None:
    for name in ("status", "error", "width", "height", "num_bytes", "content_hash"):
        assert getattr(found.rows, name) == getattr(expected.rows, name), name
    difference = np.abs(found.pixels_NHWC.astype(int) - expected.pixels_NHWC)
    assert difference.mean() < 0.5
    assert difference.max() <= 3


def test_rows_are_those_of_the_threads_and_each_lane_is_counted() -> None:
    decoder = Decoder()
    usual, alone = run(MIXED, None, threads=1)
    found, both = run(MIXED, decoder)
    assert_alike(found, usual)
    for row in set(range(len(MIXED))) - set(TAKEN):
        assert np.array_equal(found.pixels_NHWC[row], usual.pixels_NHWC[row]), "done by a thread"
        assert found.rows.phash[row] == usual.rows.phash[row]
    assert sum(decoder.lists) == both["lane_images"] == len(TAKEN)
    assert both["lane_returned"] == len(MIXED) - len(TAKEN)
    assert both["lane_s"] > 0
    assert both["lane_failures"] == alone["lane_images"] == 0


def test_damage_is_refused_as_strictly_as_without_a_lane() -> None:
    middle = LARGE[0].index(b"\xff\xda") + 200
    broken = [
        LARGE[0][:-2],
        LARGE[0][:-300],
        LARGE[0][:middle],
        LARGE[0][:middle] + b"\xff\xc4" + LARGE[0][middle:],
        images.claiming_size(LARGE[0], 0, 160),
    ]
    decoder = Decoder()
    found, _ = run([sample(index, data) for index, data in enumerate(broken)], decoder)
    assert decoder.lists == []
    assert set(found.rows.status) == {"undecodable"}


def test_a_list_that_fails_goes_back_to_the_threads() -> None:
    decoder = Decoder(failures=1)
    samples = [sample(index, data) for index, data in enumerate(LARGE)]
    usual, _ = run(samples, None, threads=1)
    found, counters = run(samples, decoder)
    assert np.array_equal(found.pixels_NHWC, usual.pixels_NHWC)
    assert found.rows == usual.rows
    assert counters["lane_failures"] == 1
    assert counters["lane_images"] == 0


def test_a_lane_that_only_fails_becomes_one_more_thread() -> None:
    decoder = Decoder(failures=1000)
    samples = [sample(index, LARGE[index % 5]) for index in range(60)]
    found, counters = run(samples, decoder, per_job=2)
    assert counters["lane_failures"] == len(decoder.lists) == 3
    assert set(found.rows.status) == {"ok"}


def test_work_is_shared_and_every_job_done_once() -> None:
    samples = [sample(index, LARGE[index % 5]) for index in range(200)]
    usual, _ = run(samples[:5], None, threads=1)
    found, counters = run(samples, Decoder(), threads=2)
    assert found.rows.content_hash == usual.rows.content_hash * 40
    assert set(found.rows.status) == {"ok"}
    assert None not in found.rows.phash
    assert counters["lane_images"] + counters["lane_returned"] <= 200
    for row in range(200):
        error = np.abs(found.pixels_NHWC[row].astype(int) - usual.pixels_NHWC[row % 5])
        assert error.max() <= 3


@pytest.mark.parametrize(
    "options",
    [
        replace(OPTIONS, trial=lambda data: None),
        replace(OPTIONS, crashed=frozenset(range(5))),
        replace(OPTIONS, only=frozenset()),
        replace(OPTIONS, limits=replace(DEFAULT_LIMITS, max_pixels=20_000)),
    ],
)
def test_it_keeps_off_what_may_be_dangerous_or_is_not_wanted(options: DecodeOptions) -> None:
    decoder = Decoder()
    samples = [sample(index, data) for index, data in enumerate(LARGE)]
    usual, _ = run(samples, None, options=options, threads=1)
    found, _ = run(samples, decoder, options=options)
    assert decoder.lists == []
    assert found.rows == usual.rows


class Crumbs:
    """Who is suspected while a list is decoded."""

    def __init__(self) -> None:
        self.now: list[int] = []
        self.seen: list[int] = []

    def begin(self, index: int, offset: int, size: int) -> None:
        self.now = [index]
        self.seen.append(index)

    def end(self) -> None:
        self.now = []


def test_an_image_is_suspected_while_a_list_is_decoded() -> None:
    crumbs = Crumbs()
    seen: list[list[int]] = []

    class Watched(Decoder):
        def __call__(self, data: Sequence[Data]) -> DecodedList:
            seen.append(crumbs.now)
            return super().__call__(data)

    samples = [sample(index, data) for index, data in enumerate(LARGE)]
    run(samples, Watched(), options=replace(OPTIONS, breadcrumb=crumbs), per_job=5)
    assert seen == [[0]]
    assert crumbs.now == []


def test_an_error_of_the_lane_itself_reaches_the_one_who_waits() -> None:
    class Wrong(Decoder):
        def __call__(self, data: Sequence[Data]) -> DecodedList:
            return super().__call__(data)._replace(sizes=[])

    samples = [sample(index, data) for index, data in enumerate(LARGE)]
    with pytest.raises(IndexError):
        run(samples, Wrong())


def test_other_work_of_the_queue_is_done_by_the_lane_too() -> None:
    workers = Workers(0, name="test", lane=DecodeLane(Decoder()))
    there = threading.current_thread()
    assert workers.submit(Urgency.MODEL, threading.current_thread).result() is not there
    assert workers.submit(Urgency.DECODE, divmod, 7, 2).result() == (3, 1)
    workers.close()


@pytest.mark.parametrize(
    ("change", "crops", "device", "told"),
    [
        ({"decode": "exact"}, 1, "cuda", "decode is exact"),
        ({}, 1, "cpu", "the device is cpu"),
        ({}, 5, "cuda", "5 crops"),
        ({"interpolation": "lanczos"}, 1, "cuda:1", "no lanczos filter"),
    ],
)
def test_where_there_is_no_lane_the_reason_is_told(
    change: dict[str, str], crops: int, device: str, told: str
) -> None:
    preprocessing = replace(FAST, **change)  # type: ignore[arg-type]
    assert told in why_no_lane(preprocessing, crops=crops, device=device)
    assert open_lane(preprocessing, crops=crops, device=device)[0] is None
    assert why_no_lane(FAST, crops=1, device="cuda") == ""
