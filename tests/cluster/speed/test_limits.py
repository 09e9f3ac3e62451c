"""The limit of decoding where a lane takes part in it; its decoder is torchvision's on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cluster.speed.figures import Figure
from cluster.speed.limits import Bench
from cluster.speed.report import make_limits
from cluster.speed.workload import read_workload
from selector.scoring.lane import DecodeLane
from selector.scoring.list_decoder import DecodedList, TorchvisionDecoder
from selector.scoring.shard_scorer import ShardScorer
from selector.scoring.spec import ScoreSpec
from selector.scoring.workers import Workers
from selector.teachers.spec import TeacherSpec
from shards.sample import Data
from shards.writer import ShardWriter
from tests.support import images
from tests.support.pools import write_teacher


class Counting(TorchvisionDecoder):
    """Keeps how many images it has decoded."""

    decoded = 0

    def __call__(self, data: Sequence[Data]) -> DecodedList:
        self.decoded += len(data)
        return super().__call__(data)


def test_the_lane_decodes_for_the_limit_too(tmp_path: Path) -> None:
    with ShardWriter(str(tmp_path / "pool")) as writer:
        for number in range(64):
            picture = images.picture(150, 160 + number % 4, seed=number)
            writer.write(f"{number:03d}", {"jpg": images.jpeg(picture)})
    write_teacher(tmp_path / "teacher.safetensors")
    teacher = TeacherSpec(
        name="he/resnet8",
        weights=str(tmp_path / "teacher.safetensors"),
        preprocessing={"resize": 36, "resize_mode": "short_side", "decode": "fast"},
    )
    spec = ScoreSpec(teacher=teacher)
    workload = read_workload([str(tmp_path / "pool")], num_images=64)
    with ShardScorer(spec, batch_size=16, threads=1, lane=None) as plain:
        usual = Bench(workload, spec, plain.teacher, plain.forward, None, 16, 1)
        assert usual.decode().cpu_s > 0
        decoder = Counting(plain.teacher.preprocessing, device="cpu")
    with ShardScorer(spec, batch_size=16, threads=1, lane=DecodeLane(decoder)) as scorer:
        assert not scorer.why_no_lane
        # Threads beside the lane could be faster than it; without any it gets every job.
        decoders = Workers(0, name="test", lane=DecodeLane(decoder))
        bench = Bench(
            workload, spec, scorer.teacher, scorer.forward, None, 16, 1, decoders=decoders
        )
        rate = bench.decode()
        decoders.close()
    assert decoder.decoded == 64
    assert rate.images_per_s > 0
    assert rate.cpu_s == 0, "how many there can be is not told by the threads alone"
    rows = [slot.rows for slot in bench.decoded]
    expected = [slot.rows for slot in usual.decoded]
    assert [one.content_hash for one in rows] == [one.content_hash for one in expected]
    assert all(one.status == ["ok"] * 16 for one in rows)


def test_a_rate_by_the_clock_is_the_limit_where_seconds_say_nothing() -> None:
    rates = {"decode": Figure((100.0, 120.0)), "model": Figure((900.0, 900.0))}
    nothing = Figure((0.0, 0.0))
    found = make_limits(rates, decode_cpu_s=nothing, model_cpu_s=nothing, cores=4, gpu=True)
    assert found == rates
    seconds = Figure((0.01, 0.02))
    found = make_limits(rates, decode_cpu_s=seconds, model_cpu_s=nothing, cores=4, gpu=True)
    assert found["decode"].values == (400.0, 200.0)
