from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision import transforms

from selector.scores.noise_value import noise_value
from selector.scoring.decode_job import DecodeTimes
from selector.scoring.lane import DecodeLane
from selector.scoring.list_decoder import TorchvisionDecoder
from selector.scoring.ring import Ring, Slot
from selector.scoring.shard_scorer import PartResult, ScoreTask, ShardScorer
from selector.scoring.spec import ScoreSpec
from selector.teachers.runtime import Answer
from selector.teachers.zoo import default_preprocessing
from shards.decode import decode
from shards.errors import CoursepackError, UsageError
from shards.manifest import ShardEntry
from tests.support.greedy import GreedyRuntime
from tests.support.images import TEXT, jpeg, picture, png
from tests.support.models import tiny_model, tiny_teacher
from tests.support.tars import samples_tar, write_tar

NUM_IMAGES = 43
BATCH = 8
SIZES = [(20, 24), (20, 24), (33, 40), (150, 130)]


def image(index: int) -> bytes:
    """A few sizes, so that some are stacked; every seventh is broken."""
    if index % 7 == 3:
        return TEXT
    pixels = picture(*SIZES[index % len(SIZES)], seed=index)
    return png(pixels) if index % 5 == 0 else jpeg(pixels)


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> str:
    samples = {f"k{index:03d}": {"jpg": image(index), "cls": b"1"} for index in range(NUM_IMAGES)}
    return write_tar(tmp_path_factory.mktemp("pool") / "s.tar", samples_tar(samples))


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ScoreSpec:
    folder = tmp_path_factory.mktemp("teacher")
    return ScoreSpec(teacher=tiny_teacher(folder, "he/resnet8", sharpness=8))


@pytest.fixture(scope="module")
def scorer(spec: ScoreSpec) -> Iterator[ShardScorer]:
    with ShardScorer(spec, batch_size=BATCH, threads=2) as opened:
        yield opened


def task(shard: str, run: Path, *, start: int = 0, stop: int | None = None) -> ScoreTask:
    return ScoreTask(ShardEntry(2, shard, 1, "e"), start=start, stop=stop, run=str(run))


def read(result: PartResult) -> tuple[pa.Table, pa.Table]:
    return pq.read_table(result.paths[0]), pq.read_table(result.paths[1])


def test_scores_are_those_of_a_plain_float64_loop(
    scorer: ShardScorer, shard: str, tmp_path: Path
) -> None:
    scores, _ = read(scorer.score(task(shard, tmp_path)))
    model = tiny_model("he/resnet8", sharpness=8).double()
    preprocessing = default_preprocessing("he/resnet8")
    for index, row in enumerate(scores.to_pylist()):
        assert (row["row_id"], row["key"]) == (2 << 32 | index, f"k{index:03d}")
        if index % 7 == 3:
            assert row["status"] == "undecodable"
            assert row["noise_value"] is row["pseudo_label"] is row["width"] is None
            assert row["num_bytes"] == len(TEXT)
            continue
        pixels = decode(image(index))
        assert (row["height"], row["width"]) == pixels.shape[:2]
        inputs = preprocessing.normalize(torch.tensor(preprocessing.apply(pixels)[None]))
        with torch.no_grad():
            logits = model(inputs.double())
        assert row["noise_value"] == pytest.approx(noise_value(logits).item(), rel=1e-3)
        assert row["pseudo_label"] == logits.argmax().item()


def test_counters_tell_what_happened(scorer: ShardScorer, shard: str, tmp_path: Path) -> None:
    counters = scorer.score(task(shard, tmp_path)).counters
    assert counters["images"] == NUM_IMAGES
    assert counters["failed"] == counters["status_undecodable"] == 6
    assert counters["status_ok"] == NUM_IMAGES - 6
    assert counters["forward_halved"] == 0
    assert counters["status_crashed"] == counters["damaged"] == counters["problems"] == 0
    assert counters["bytes"] == sum(len(image(index)) for index in range(NUM_IMAGES))
    waits = sum(
        counters[name] for name in ("wait_read_s", "wait_decode_s", "model_s", "wait_write_s")
    )
    assert 0 < waits <= counters["wall_s"]
    assert min(counters[n] for n in ("forward_s", "decode_s", "resize_s", "phash_s")) > 0


def test_members_index_every_file_of_every_sample(
    scorer: ShardScorer, shard: str, tmp_path: Path
) -> None:
    _, members = read(scorer.score(task(shard, tmp_path)))
    data = Path(shard).read_bytes()
    rows = members.to_pylist()
    assert len(rows) == 2 * NUM_IMAGES
    for row in rows:
        index = row["row_id"] - (2 << 32)
        expected = image(index) if row["extension"] == "jpg" else b"1"
        assert data[row["offset"] : row["offset"] + row["size"]] == expected


def test_bytes_do_not_depend_on_threads_or_repetition(
    spec: ScoreSpec, shard: str, tmp_path: Path
) -> None:
    written = set()
    for threads in (1, 2, 3):
        with ShardScorer(spec, batch_size=BATCH, threads=threads) as scorer:
            for repetition in range(2):
                result = scorer.score(task(shard, tmp_path / f"{threads}-{repetition}"))
                written.add(tuple(Path(path).read_bytes() for path in result.paths))
    assert len(written) == 1


def test_torch_gets_its_threads_back(spec: ScoreSpec) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with ShardScorer(spec, batch_size=BATCH, threads=2):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_rows_do_not_depend_on_how_the_shard_was_divided(
    scorer: ShardScorer, shard: str, tmp_path: Path
) -> None:
    whole_scores, whole_members = read(scorer.score(task(shard, tmp_path / "whole")))
    for step in (BATCH, 3 * BATCH):
        parts = [
            read(scorer.score(task(shard, tmp_path / "parts", start=start, stop=start + step)))
            for start in range(0, NUM_IMAGES, step)
        ]
        scores = pa.concat_tables([scores for scores, _ in parts]).unify_dictionaries()
        members = pa.concat_tables([members for _, members in parts]).unify_dictionaries()
        assert scores.to_pylist() == whole_scores.to_pylist()
        assert members.to_pylist() == whole_members.to_pylist()


def test_compressed_shards_give_the_same_rows(
    scorer: ShardScorer, shard: str, tmp_path: Path
) -> None:
    packed = tmp_path / "s.tar.gz"
    packed.write_bytes(gzip.compress(Path(shard).read_bytes()))
    plain, _ = read(scorer.score(task(shard, tmp_path / "plain")))
    unpacked, _ = read(scorer.score(task(str(packed), tmp_path / "packed")))
    assert unpacked.drop_columns("shard").to_pylist() == plain.drop_columns("shard").to_pylist()


def test_a_start_inside_a_batch_is_refused(scorer: ShardScorer, shard: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="starts at 4, which is no multiple of the batch size 8"):
        scorer.score(task(shard, tmp_path, start=4))


@pytest.mark.parametrize(
    "options", [{"batch_size": 0, "threads": 1}, {"batch_size": 1, "threads": 0}]
)
def test_senseless_options_are_refused(spec: ScoreSpec, options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="expected at least 1"):
        ShardScorer(spec, **options)


def test_crashed_samples_become_rows(scorer: ShardScorer, shard: str, tmp_path: Path) -> None:
    again = ScoreTask(ShardEntry(2, shard, 1, "e"), run=str(tmp_path), crashed=(0, 9))
    result = scorer.score(again)
    status = read(result)[0]["status"].to_pylist()
    assert [index for index, one in enumerate(status) if one == "crashed"] == [0, 9]
    assert result.counters["status_crashed"] == 2


class BreaksDown:
    """A runtime that fails on its third batch."""

    name = "broken"

    def __init__(self) -> None:
        self.calls = 0

    def answer(self, batch_NCHW: Tensor) -> Answer:
        self.calls += 1
        if self.calls == 3:
            raise RuntimeError("out of memory")
        return Answer(torch.zeros(len(batch_NCHW), 10), None)


def test_an_error_of_the_model_ends_the_part_and_leaves_the_scorer_usable(
    spec: ScoreSpec, shard: str, tmp_path: Path
) -> None:
    with ShardScorer(spec, batch_size=BATCH, threads=2) as scorer:
        good, scorer.forward._runtime = scorer.forward._runtime, BreaksDown()
        with pytest.raises(RuntimeError, match="out of memory"):
            scorer.score(task(shard, tmp_path))
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        scorer.forward._runtime = good
        assert scorer.score(task(shard, tmp_path)).counters["images"] == NUM_IMAGES


class HalfBroken:
    """A runtime that answers NaN on every second row."""

    name = "half broken"

    def answer(self, batch_NCHW: Tensor) -> Answer:
        logits = torch.arange(10.0).repeat(len(batch_NCHW), 1)
        logits[1::2] = torch.nan
        return Answer(logits, None)


def test_a_teacher_that_breaks_down_on_an_image_costs_its_row(
    spec: ScoreSpec, shard: str, tmp_path: Path
) -> None:
    with ShardScorer(spec, batch_size=BATCH, threads=1) as scorer:
        scorer.forward._runtime = HalfBroken()
        scores, _ = read(scorer.score(task(shard, tmp_path)))
    status = scores["status"].to_pylist()
    assert set(status[0::2]) == {"ok", "undecodable"}
    assert set(status[1::2]) == {"crashed", "undecodable"}
    assert np.isfinite(scores["noise_value"].drop_null().to_numpy()).all()


def test_a_full_device_costs_no_row_and_is_met_once(
    spec: ScoreSpec, scorer: ShardScorer, shard: str, tmp_path: Path
) -> None:
    usual, _ = read(scorer.score(task(shard, tmp_path / "usual")))
    with ShardScorer(spec, batch_size=BATCH, threads=1) as small:
        runtime = GreedyRuntime(small.teacher)
        runtime.holds, runtime.sizes = 3, []
        small.forward._runtime = runtime
        first = small.score(task(shard, tmp_path / "first"))
        again = small.score(task(shard, tmp_path / "again"))
    assert first.counters["forward_halved"] == 2
    assert first.counters["halved_to_4"] == first.counters["halved_to_2"] == 1
    assert again.counters["forward_halved"] == 0
    assert runtime.sizes[:2] == [8, 4]
    assert set(runtime.sizes[2:]) == {2}, "what was refused is not asked for again"
    for result in (first, again):
        rows, _ = read(result)
        assert rows.schema.equals(usual.schema)
        for name in rows.column_names:
            found, expected = rows[name].to_pylist(), usual[name].to_pylist()
            assert found == (
                [one if one is None else pytest.approx(one, rel=1e-4) for one in expected]
                if pa.types.is_floating(rows.schema.field(name).type)
                else expected
            ), name


def test_a_device_without_memory_for_one_image_ends_the_part(
    spec: ScoreSpec, shard: str, tmp_path: Path
) -> None:
    with ShardScorer(spec, batch_size=BATCH, threads=2) as scorer:
        runtime = GreedyRuntime(scorer.teacher)
        runtime.holds, runtime.sizes = 0, []
        scorer.forward._runtime = runtime
        with pytest.raises(CoursepackError, match="has no memory for the pass of a single image"):
            scorer.score(task(shard, tmp_path))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


class HastyRing(Ring[DecodeTimes]):
    """A ring whose reader is always the faster one: a slot is used anew the moment it is free."""

    def give_back(self, slot: Slot[DecodeTimes]) -> None:
        slot.begin()
        slot.pixels_NHWC[:] = 255
        super().give_back(slot)


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(
                    not torch.cuda.is_available(), reason="torch sees no CUDA device"
                ),
            ],
        ),
    ],
)
def test_rows_are_safe_from_a_reader_that_takes_the_slot_at_once(
    spec: ScoreSpec, shard: str, tmp_path: Path, device: str
) -> None:
    with ShardScorer(spec, batch_size=BATCH, threads=1, device=device) as scorer:
        usual, _ = read(scorer.score(task(shard, tmp_path / "usual")))
        scorer._ring = HastyRing(
            num_slots=3,
            batch_size=BATCH,
            input_size=scorer.teacher.preprocessing.input_size,
            pinned=device == "cuda",
        )
        if device == "cuda":  # the first copies begin late
            with torch.cuda.stream(scorer.forward._uploads):
                torch.cuda._sleep(int(1e9))
        hasty, _ = read(scorer.score(task(shard, tmp_path / "hasty")))
    assert hasty.equals(usual)


@pytest.fixture(scope="module")
def ten_spec(spec: ScoreSpec) -> ScoreSpec:
    return spec.model_copy(update={"views": "ten"})


@pytest.fixture(scope="module")
def ten(ten_spec: ScoreSpec) -> Iterator[ShardScorer]:
    with ShardScorer(ten_spec, batch_size=BATCH, threads=2) as opened:
        yield opened


def test_ten_views_are_those_of_a_plain_float64_loop(
    ten: ShardScorer, scorer: ShardScorer, shard: str, tmp_path: Path
) -> None:
    result = ten.score(task(shard, tmp_path / "ten"))
    assert result.counters["images"] == NUM_IMAGES, "images, not views"
    scores, _ = read(result)
    once, _ = read(scorer.score(task(shard, tmp_path / "one")))
    model = tiny_model("he/resnet8", sharpness=8).double()
    preprocessing = default_preprocessing("he/resnet8")
    differ = 0
    for index, (row, own) in enumerate(zip(scores.to_pylist(), once.to_pylist(), strict=True)):
        assert row["status"] == own["status"]
        if row["status"] != "ok":
            assert row["noise_value"] is row["pseudo_label"] is None
            continue
        original = Image.fromarray(decode(image(index)))
        squash = transforms.Resize((32, 32), transforms.InterpolationMode.BILINEAR)
        larger = transforms.Resize((36, 36), transforms.InterpolationMode.BILINEAR)
        crops = [squash(original), *transforms.FiveCrop(32)(larger(original))[:4]]
        views = [view for crop in crops for view in (crop, ImageOps.mirror(crop))]
        pixels = torch.stack([transforms.PILToTensor()(view) for view in views])
        with torch.no_grad():
            p = model(preprocessing.normalize(pixels).double()).softmax(1).mean(0)
        assert row["pseudo_label"] == p.argmax().item()
        assert row["max_prob"] == pytest.approx(p.max().item(), rel=1e-4)
        assert row["noise_value"] == pytest.approx(-p.max().log().item(), rel=1e-3)
        assert row["entropy"] == pytest.approx(torch.special.entr(p).sum().item(), rel=1e-3)
        best, second = p.topk(2).values.tolist()
        assert row["margin"] == pytest.approx(best - second, rel=1e-3, abs=1e-5)
        same = ("width", "height", "phash", "content_hash", "num_bytes", "key")
        assert all(row[name] == own[name] for name in same)
        differ += row["noise_value"] != own["noise_value"]
    assert differ > NUM_IMAGES / 2


def test_rows_of_several_views_do_not_depend_on_threads_or_division(
    ten: ShardScorer, ten_spec: ScoreSpec, shard: str, tmp_path: Path
) -> None:
    whole = ten.score(task(shard, tmp_path / "2"))
    with ShardScorer(ten_spec, batch_size=BATCH, threads=1) as alone:
        single = alone.score(task(shard, tmp_path / "1"))
    assert [Path(p).read_bytes() for p in whole.paths] == [
        Path(p).read_bytes() for p in single.paths
    ]
    halves = [
        read(ten.score(task(shard, tmp_path / "parts", start=start, stop=stop)))[0]
        for start, stop in ((0, 3 * BATCH), (3 * BATCH, None))
    ]
    assert pa.concat_tables(halves).unify_dictionaries().to_pylist() == read(whole)[0].to_pylist()


def test_a_teacher_that_breaks_down_on_one_view_costs_the_row(
    ten_spec: ScoreSpec, shard: str, tmp_path: Path
) -> None:
    class BrokenMirror:
        """NaN for the second row of every mirror image, which is every second call."""

        calls = 0

        def answer(self, batch_NCHW: Tensor) -> Answer:
            self.calls += 1
            logits = torch.arange(10.0).repeat(len(batch_NCHW), 1)
            if self.calls % 2 == 0:
                logits[1] = torch.nan
            return Answer(logits, None)

    with ShardScorer(ten_spec, batch_size=BATCH, threads=1) as scorer:
        scorer.forward._runtime = BrokenMirror()  # type: ignore[assignment]
        scores, _ = read(scorer.score(task(shard, tmp_path, stop=BATCH)))
    assert scores["status"].to_pylist() == ["ok", "crashed", "ok", "undecodable", *["ok"] * 4]


def test_a_lane_beside_the_threads_changes_no_row_but_for_its_pixels(tmp_path: Path) -> None:
    wanted = {"decode": "fast", "resize": 36, "resize_mode": "short_side"}
    teacher = tiny_teacher(tmp_path, "he/resnet8", sharpness=8)
    spec = ScoreSpec(teacher=teacher, preprocessing=wanted)
    data = [jpeg(picture(160, 180, seed=n)) for n in range(30)]
    data[7], data[11] = data[7][:-500], png(picture(160, 180, seed=11))
    samples = {f"k{n:03d}": {"jpg": one} for n, one in enumerate(data)}
    uri = write_tar(tmp_path / "s.tar", samples_tar(samples))
    with ShardScorer(spec, batch_size=BATCH, threads=1, lane=None) as scorer:
        usual, _ = read(scorer.score(task(uri, tmp_path / "usual")))
        decoder = TorchvisionDecoder(scorer.teacher.preprocessing, device="cpu")
    with ShardScorer(spec, batch_size=BATCH, threads=1, lane=DecodeLane(decoder)) as scorer:
        results = [scorer.score(task(uri, tmp_path / f"lane-{number}")) for number in range(5)]
    assert sum(one.counters["lane_images"] for one in results) > 0
    same = ["key", "status", "error", "width", "height", "content_hash", "pseudo_label"]
    for result in results:
        rows, _ = read(result)
        assert rows.select(same).to_pylist() == usual.select(same).to_pylist()
        found = rows["max_prob"].drop_null().to_numpy()
        assert np.abs(found - usual["max_prob"].drop_null().to_numpy()).max() < 0.05
    with ShardScorer(spec, batch_size=BATCH, threads=1) as scorer:
        assert scorer.why_no_lane == "the device is cpu"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_a_gpu_decodes_beside_the_threads(tmp_path: Path) -> None:
    wanted = {"decode": "fast", "resize": 36, "resize_mode": "short_side"}
    spec = ScoreSpec(
        teacher=tiny_teacher(tmp_path, "he/resnet8", sharpness=8), preprocessing=wanted
    )
    samples = {f"k{n:03d}": {"jpg": jpeg(picture(300, 400, seed=n))} for n in range(256)}
    samples["k100"] = {"jpg": samples["k100"]["jpg"][:-500]}
    uri = write_tar(tmp_path / "s.tar", samples_tar(samples))
    with ShardScorer(spec, batch_size=64, threads=1, device="cuda", lane=None) as scorer:
        usual, _ = read(scorer.score(task(uri, tmp_path / "usual")))
    with ShardScorer(spec, batch_size=64, threads=1, device="cuda") as scorer:
        assert scorer.why_no_lane == ""
        result = scorer.score(task(uri, tmp_path / "lane"))
    assert result.counters["lane_images"] > 0
    assert result.counters["lane_failures"] == 0
    rows, _ = read(result)
    for name in ("key", "status", "width", "height", "content_hash"):
        assert rows[name].to_pylist() == usual[name].to_pylist(), name
    labels = rows["pseudo_label"].to_pylist(), usual["pseudo_label"].to_pylist()
    assert sum(a == b for a, b in zip(*labels, strict=True)) > 0.95 * len(samples)
