from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from selector.scores.hashes import content_hash, phash
from selector.scoring.decode_job import DecodeOptions, run_decode_job, thumbnails
from selector.scoring.ring import Ring, Slot
from selector.teachers.zoo import default_preprocessing
from shards.decode import decode
from shards.limits import DEFAULT_LIMITS
from shards.sample import IMAGE_EXTENSIONS, Data, Member, Sample, SampleEntry
from tests.support import images

OPTIONS = DecodeOptions(IMAGE_EXTENSIONS, DEFAULT_LIMITS, default_preprocessing("he/resnet20"))


def sample(index: int, data: bytes, *, extension: str = "jpg", error: str | None = None) -> Sample:
    member = Member(f"k{index}.{extension}", extension, 512, len(data))
    return Sample(SampleEntry(index, f"k{index}", (member,)), (memoryview(data),), error)


def run(samples: list[Sample], options: DecodeOptions = OPTIONS) -> Slot[object]:
    """All samples in one job of one slot, whose memory is dirty before."""
    size = options.preprocessing.input_size
    slot = Ring[object](num_slots=1, batch_size=len(samples), input_size=size).take()
    assert slot is not None
    slot.pixels_NHWC[:] = 99
    for one in samples:
        slot.rows.extend([one.entry])
    run_decode_job(slot, list(enumerate(samples)), options)  # type: ignore[arg-type]
    return slot


def test_pixels_and_hashes_do_not_depend_on_company() -> None:
    # Two sizes that are stacked, one alone, one too large to be stacked, in mixed order.
    sizes = [(48, 64), (20, 30), (48, 64), (33, 21), (300, 200), (20, 30), (48, 64)]
    encoded = [
        images.jpeg(images.picture(*size, seed=seed))
        if seed % 2
        else images.png(images.picture(*size, seed=seed))
        for seed, size in enumerate(sizes)
    ]
    together = run([sample(index, data) for index, data in enumerate(encoded)])
    for index, data in enumerate(encoded):
        pixels = decode(data)
        expected = OPTIONS.preprocessing.apply(pixels).transpose(1, 2, 0)
        np.testing.assert_array_equal(together.pixels_NHWC[index], expected)
        grey = Image.fromarray(pixels).convert("L").resize((32, 32), Image.Resampling.BOX)
        assert together.rows.phash[index] == phash(np.asarray(grey)[None])[0]
        assert together.rows.content_hash[index] == content_hash(data)
        assert together.rows.num_bytes[index] == len(data)
        assert (together.rows.height[index], together.rows.width[index]) == sizes[index]
    assert together.rows.status == ["ok"] * len(sizes)


def test_fast_keeps_true_sizes_and_hashes_that_are_near() -> None:
    exact = replace(OPTIONS, preprocessing=default_preprocessing("he/resnet20"))
    fast = replace(exact, preprocessing=replace(exact.preprocessing, decode="fast"))
    coarse = [Image.fromarray(images.picture(9, 11, seed=seed)) for seed in range(4)]
    sizes = [(603, 457), (48, 64), (603, 457), (401, 1203)]
    encoded = [
        images.jpeg(np.asarray(one.resize(size[::-1], Image.Resampling.BICUBIC)))
        for one, size in zip(coarse, sizes, strict=True)
    ]
    samples = [sample(index, data) for index, data in enumerate(encoded)]
    as_it_is, reduced = run(samples, exact), run(samples, fast)
    for slot in (as_it_is, reduced):
        assert slot.rows.status == ["ok"] * 4
        assert list(zip(slot.rows.height, slot.rows.width, strict=True)) == sizes
    assert reduced.rows.content_hash == as_it_is.rows.content_hash
    differ = [
        (one ^ other).bit_count()
        for one, other in zip(as_it_is.rows.phash, reduced.rows.phash, strict=True)  # type: ignore[arg-type]
    ]
    assert differ[1] == 0
    assert max(differ) <= 4
    np.testing.assert_array_equal(reduced.pixels_NHWC[1], as_it_is.pixels_NHWC[1])
    error = reduced.pixels_NHWC.astype(int) - as_it_is.pixels_NHWC
    assert 0 < np.abs(error).mean() < 1


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        (sample(1, b""), "undecodable"),
        (sample(1, images.TEXT), "undecodable"),
        (sample(1, images.jpeg()[:500]), "undecodable"),
        (sample(1, images.bomb_png(), extension="png"), "too_large"),
        (sample(1, images.tiff_float(), extension="tif"), "unsupported"),
        (sample(1, b"{}", extension="json"), "no_image"),
        (sample(1, images.jpeg(), error="cut off"), "read_error"),
    ],
)
def test_a_failed_row_has_a_reason_and_zeros(broken: Sample, status: str) -> None:
    good = sample(0, images.jpeg())
    slot = run([good, broken, sample(2, images.jpeg())])
    assert slot.rows.status == ["ok", status, "ok"]
    assert slot.rows.error[1]
    assert slot.rows.phash[1] is None
    assert not slot.pixels_NHWC[1].any()
    np.testing.assert_array_equal(slot.pixels_NHWC[0], slot.pixels_NHWC[2])


def test_an_image_too_long_for_the_teacher_keeps_its_hash_and_size() -> None:
    options = replace(OPTIONS, preprocessing=default_preprocessing("torchvision/resnet34"))
    needle = images.png(np.zeros((1, 20_000, 3), np.uint8))
    slot = run([sample(0, needle, extension="png")], options)
    assert slot.rows.status == ["too_large"]
    assert (slot.rows.width, slot.rows.phash) == ([20_000], [0])
    assert not slot.pixels_NHWC.any()


def test_grey_teachers_get_grey_pixels_and_the_same_hash() -> None:
    data = images.png()
    grey = replace(OPTIONS, preprocessing=default_preprocessing("lenet/5"))
    slot = run([sample(0, data), sample(1, data)], grey)
    expected = grey.preprocessing.apply(decode(data, channels=1))
    np.testing.assert_array_equal(slot.pixels_NHWC[1].transpose(2, 0, 1), expected)
    assert slot.rows.phash == run([sample(0, data)] * 2).rows.phash


def test_the_preferred_extension_wins() -> None:
    first, second = images.png(), images.png(images.picture(seed=5))
    members = (Member("k.png", "png", 0, len(first)), Member("k.jpg", "jpg", 0, len(second)))
    both = Sample(SampleEntry(0, "k", members), (first, second))
    assert run([both]).rows.content_hash == [content_hash(second)]
    preferring = replace(OPTIONS, image_ext=("png",))
    assert run([both], preferring).rows.content_hash == [content_hash(first)]


class Touched:
    """Breadcrumbs, kept."""

    def __init__(self) -> None:
        self.seen: list[int | str] = []

    def begin(self, index: int, offset: int, size: int) -> None:
        self.seen.append(index)

    def end(self) -> None:
        self.seen.append("end")


def test_crashed_samples_are_not_touched() -> None:
    touched = Touched()
    options = replace(OPTIONS, crashed=frozenset({11}), breadcrumb=touched)
    slot = run([sample(10, images.jpeg()), sample(11, images.jpeg()), sample(12, b"x")], options)
    assert slot.rows.status == ["ok", "crashed", "undecodable"]
    assert slot.rows.num_bytes[1] is None
    assert touched.seen == [10, "end", 12, "end"]


def test_suspects_are_tried_by_somebody_else_first() -> None:
    bytes_of = [images.jpeg(images.picture(seed=seed)) for seed in range(3)]
    tried: list[bytes] = []

    def trial(data: Data) -> str | None:
        tried.append(bytes(data))
        return "it is fatal" if data == bytes_of[1] else None

    work = [sample(index, data) for index, data in enumerate(bytes_of)]
    touched = Touched()
    options = replace(OPTIONS, trial=trial, suspects=frozenset({0, 1}), breadcrumb=touched)
    slot = run(work, options)
    assert slot.rows.status == ["ok", "crashed", "ok"]
    assert slot.rows.error[1] == "it is fatal"
    assert slot.rows.num_bytes[1] == len(bytes_of[1])
    assert not slot.pixels_NHWC[1].any()
    assert tried == bytes_of[:2]
    assert touched.seen == [0, "end", 2, "end"], "this process never decodes the fatal one"
    tried.clear()
    run(work, replace(options, suspects=None))
    assert tried == bytes_of, "without a list, all are suspects"


def test_thumbnails_are_the_area_average() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (2, 64, 96), np.uint8)
    means = grey.reshape(2, 32, 2, 32, 3).mean(axis=(2, 4))
    assert np.abs(thumbnails(grey).astype(float) - means).max() <= 1
