"""Features through the shard scorer: same pass, same rows, same scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.features import FeaturePlan, choose_taps, make_feature_plan
from selector.scoring.shard_scorer import ScoreTask, ShardScorer
from selector.scoring.spec import ScoreSpec
from selector.tables.layout import RunLayout
from selector.tables.vectors import decode_vectors
from selector.tables.write import write_part, write_table_list
from selector.teachers.load import load_teacher
from selector.teachers.runtime import Answer, EagerRuntime
from selector.teachers.stage_features import Stage
from selector.teachers.zoo import default_preprocessing
from shards.decode import decode
from shards.errors import StorageError, UsageError
from shards.manifest import ShardEntry
from tests.support.images import TEXT, jpeg, picture, png
from tests.support.models import tiny_model, tiny_teacher
from tests.support.tars import samples_tar, write_tar

NUM_IMAGES = 43
BATCH = 8


def image(index: int) -> bytes:
    if index % 7 == 3:
        return TEXT
    pixels = picture(24, 30 + index % 3, seed=index)
    return png(pixels) if index % 5 == 0 else jpeg(pixels)


def write_images(path: Path, images: dict[int, bytes]) -> str:
    return write_tar(path, samples_tar({f"k{i:03d}": {"jpg": data} for i, data in images.items()}))


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("pool")
    return write_images(folder / "s.tar", {i: image(i) for i in range(NUM_IMAGES)})


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ScoreSpec:
    return ScoreSpec(teacher=tiny_teacher(tmp_path_factory.mktemp("teacher"), "he/resnet8"))


@pytest.fixture(scope="module")
def plan(spec: ScoreSpec) -> FeaturePlan:
    teacher = load_teacher(spec.teacher)
    taps = choose_taps(FeatureSpec(), teacher)
    return make_feature_plan(teacher, EagerRuntime(teacher, taps=taps), taps)


@pytest.fixture(scope="module")
def scorer(spec: ScoreSpec, plan: FeaturePlan) -> Iterator[ShardScorer]:
    with ShardScorer(spec, batch_size=BATCH, threads=2, features=plan) as opened:
        yield opened


def task(
    shard: str, run: Path, *, start: int = 0, stop: int | None = None, facts_only: bool = False
) -> ScoreTask:
    entry = ShardEntry(2, shard, 1, "e")
    return ScoreTask(entry, start=start, stop=stop, run=str(run), facts_only=facts_only)


def vectors(path: str) -> tuple[np.ndarray, np.ndarray]:
    return decode_vectors(pq.read_table(path)["features"])


def test_are_the_stage_averages_of_a_plain_float64_forward(
    scorer: ShardScorer, shard: str, tmp_path: Path
) -> None:
    result = scorer.score(task(shard, tmp_path))
    found, valid = vectors(result.paths[2])
    model = tiny_model("he/resnet8").double()
    preprocessing = default_preprocessing("he/resnet8")
    stages: list[Tensor] = []
    for layer in (model.layer1, model.layer2, model.layer3):
        layer.register_forward_hook(lambda _m, _i, out: stages.append(out.mean((2, 3))[0]))
    for index in range(NUM_IMAGES):
        assert valid[index] == (index % 7 != 3)
        if index % 7 == 3:
            assert not found[index].any()
            continue
        stages.clear()
        pixels = preprocessing.apply(decode(image(index)))
        with torch.no_grad():
            model(preprocessing.normalize(torch.tensor(pixels[None])).double())
        assert np.allclose(found[index], torch.cat(stages), rtol=2e-3, atol=2e-3)


def test_scores_are_the_same_bytes_with_and_without(
    scorer: ShardScorer, spec: ScoreSpec, shard: str, tmp_path: Path
) -> None:
    with_features = scorer.score(task(shard, tmp_path / "with"))
    with ShardScorer(spec, batch_size=BATCH, threads=1) as plain:
        without = plain.score(task(shard, tmp_path / "without"))
    assert (len(with_features.paths), len(without.paths)) == (3, 2)
    for one, other in zip(with_features.paths[:2], without.paths, strict=True):
        assert Path(one).read_bytes() == Path(other).read_bytes()
    rows = [
        pq.read_table(path)["row_id"] for path in (with_features.paths[0], with_features.paths[2])
    ]
    assert rows[0].equals(rows[1])


def test_later_features_are_the_same_bytes_and_touch_nothing(
    scorer: ShardScorer, spec: ScoreSpec, plan: FeaturePlan, shard: str, tmp_path: Path
) -> None:
    together = scorer.score(task(shard, tmp_path / "together"))
    with ShardScorer(spec, batch_size=BATCH, threads=1) as plain:
        scores = plain.score(task(shard, tmp_path / "later"))
    before = [(Path(path).read_bytes(), Path(path).stat().st_mtime_ns) for path in scores.paths]
    for threads in (1, 3):
        with ShardScorer(spec, batch_size=BATCH, threads=threads, features=plan) as late:
            later = late.score(task(shard, tmp_path / "later", facts_only=True))
        assert len(later.paths) == 1
        assert Path(later.paths[0]).read_bytes() == Path(together.paths[2]).read_bytes()
        assert later.counters["features_differ"] == 0
    after = [(Path(path).read_bytes(), Path(path).stat().st_mtime_ns) for path in scores.paths]
    assert before == after


def test_a_range_of_a_shard_is_aligned_with_its_score_part(
    scorer: ShardScorer, shard: str, tmp_path: Path
) -> None:
    whole, _ = vectors(scorer.score(task(shard, tmp_path / "whole")).paths[2])
    scorer.score(task(shard, tmp_path, start=16, stop=32))
    later = scorer.score(task(shard, tmp_path, start=16, facts_only=True))
    assert np.array_equal(vectors(later.paths[0])[0], whole[16:32])


def test_counters_tell_what_happened(scorer: ShardScorer, shard: str, tmp_path: Path) -> None:
    counters = scorer.score(task(shard, tmp_path)).counters
    assert counters["features"] == NUM_IMAGES - 6
    assert counters["features_null"] == counters["features_clipped"] == 0


def changed(case: str) -> dict[int, bytes]:
    images = {i: image(i) for i in range(NUM_IMAGES)}
    if case == "fewer":
        del images[NUM_IMAGES - 1]
    elif case == "renamed":
        images[NUM_IMAGES + 1] = images.pop(NUM_IMAGES - 1)
    else:
        images[5] = image(6)
    return images


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("fewer", "ends at sample 42"),
        ("renamed", "sample 42 is 'k044' now"),
        ("other", "image of 'k005' has other bytes"),
    ],
)
def test_another_shard_than_was_scored_is_refused(
    scorer: ShardScorer, shard: str, tmp_path: Path, case: str, message: str
) -> None:
    scorer.score(task(shard, tmp_path / "run"))
    (part,) = (tmp_path / "run" / "facts" / "features").rglob("*.parquet")
    part.unlink()
    other = write_images(tmp_path / "s.tar", changed(case))
    with pytest.raises(StorageError, match=f"another shard than was scored: .*{message}"):
        scorer.score(task(other, tmp_path / "run", facts_only=True))
    assert not part.exists()


def test_rows_are_found_in_a_larger_file_that_took_the_place_of_the_part(
    scorer: ShardScorer, shard: str, tmp_path: Path
) -> None:
    layout = RunLayout(str(tmp_path))
    first = scorer.score(task(shard, tmp_path, stop=16)).paths
    second = scorer.score(task(shard, tmp_path, start=16)).paths
    tables = [pq.read_table(path) for path in (first[0], second[0])]
    both = pa.concat_tables(tables).unify_dictionaries()
    larger = layout.scores_part("00000002-00000000~2")
    write_part(larger, both.cast(tables[0].schema))
    write_table_list(layout, "scores", [larger])
    expected = [Path(paths[2]).read_bytes() for paths in (first, second)]
    for path in (first[0], second[0], first[2], second[2]):
        Path(path).unlink()
    scorer.score(task(shard, tmp_path, stop=16, facts_only=True))
    scorer.score(task(shard, tmp_path, start=16, facts_only=True))
    assert [Path(paths[2]).read_bytes() for paths in (first, second)] == expected


def test_features_need_the_score_part(scorer: ShardScorer, shard: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no tables"):
        scorer.score(task(shard, tmp_path, facts_only=True))
    scorer.score(task(shard, tmp_path, stop=16))
    layout = RunLayout(str(tmp_path))
    write_table_list(layout, "scores", [layout.scores_part("00000002-00000000")])
    with pytest.raises(StorageError, match=r"00000002-00000016\.parquet is missing"):
        scorer.score(task(shard, tmp_path, start=16, facts_only=True))


class Breaks:
    """A runtime whose features are NaN on every second row and huge on every third."""

    name = "breaks"
    stages = (Stage("it", 112),)

    def answer(self, batch_NCHW: Tensor) -> Answer:
        features = torch.ones(len(batch_NCHW), 112)
        features[1::2, 7] = torch.nan
        features[::4, 8] = 1e9
        return Answer(torch.arange(10.0).repeat(len(batch_NCHW), 1), features)


def test_features_that_are_not_finite_are_null_and_counted(
    spec: ScoreSpec, plan: FeaturePlan, shard: str, tmp_path: Path
) -> None:
    with ShardScorer(spec, batch_size=BATCH, threads=1, features=plan) as scorer:
        scorer.forward._runtime = Breaks()
        result = scorer.score(task(shard, tmp_path))
    found, valid = vectors(result.paths[2])
    sound = np.array([index % 7 != 3 for index in range(NUM_IMAGES)])
    even = np.arange(NUM_IMAGES) % 2 == 0
    assert np.array_equal(valid, sound & even)
    assert np.isfinite(found).all()
    assert result.counters["features_null"] == (sound & ~even).sum()
    assert result.counters["features_clipped"] == (sound & (np.arange(NUM_IMAGES) % 4 == 0)).sum()
    assert set(pq.read_table(result.paths[0])["status"].to_pylist()) == {"ok", "undecodable"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_a_gpu_gives_the_same_features_but_for_rounding(
    scorer: ShardScorer, spec: ScoreSpec, plan: FeaturePlan, shard: str, tmp_path: Path
) -> None:
    expected, sound = vectors(scorer.score(task(shard, tmp_path / "cpu")).paths[2])
    with ShardScorer(spec, batch_size=BATCH, threads=2, device="cuda", features=plan) as on_gpu:
        found, valid = vectors(on_gpu.score(task(shard, tmp_path / "gpu")).paths[2])
    assert np.array_equal(valid, sound)
    assert np.allclose(found, expected, rtol=1e-2, atol=1e-2)
