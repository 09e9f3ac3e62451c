"""originals: images of the teacher's own training set, drawn beside the pool."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cluster import score
from cluster.execution import ExecutionConfig
from selector.maps import embed, originals
from selector.maps.make import make_map, originals_file
from selector.report.page import report
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.spec import ScoreSpec
from selector.selection import select
from selector.tables.facts import find_fact
from selector.tables.layout import RunLayout
from selector.teachers.spec import TeacherSpec
from shards.errors import UsageError
from tests.support.pools import write_pool, write_teacher
from tests.support.tars import samples_tar

pytest.importorskip("openTSNE")
INLINE = ExecutionConfig(executor="inline", threads=1, batch_size=16)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunLayout:
    folder = tmp_path_factory.mktemp("run")
    pool = write_pool(folder / "pool", shards=1, images=30)
    weights = write_teacher(folder / "t.safetensors")
    teacher = TeacherSpec(
        name="he/resnet8", weights=str(weights), preprocessing={"resize_mode": "squash"}
    )
    out = str(folder / "run")
    score(
        [str(pool)], spec=ScoreSpec(teacher=teacher), out=out, execution=INLINE,
        features=FeatureSpec(mode="full"),
    )  # fmt: skip
    select(out, {"name": "top", "steps": [{"take": {"n": 9, "order": "noise_value"}}]})
    write_pool(folder / "originals", shards=1, images=12)
    return RunLayout(out)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "_ITERATIONS", (20, 20))


def shards_of(run: RunLayout, folder: str = "originals") -> list[str]:
    return [str(path) for path in sorted((Path(run.root).parent / folder).glob("*.tar"))]


def test_they_have_places_keys_and_thumbnails(run: RunLayout) -> None:
    result = make_map(run.root, originals=shards_of(run))
    assert (result.num_drawn, result.num_originals) == (30, 12)
    uri = originals_file(run, find_fact(run, "map"))
    assert uri is not None
    table = pq.read_table(uri)
    assert table.num_rows == 12
    assert np.isfinite(table["x"].to_numpy()).all()
    image = Image.open(io.BytesIO(table["thumbnail"][0].as_py()))
    assert max(image.size) <= 64


def test_images_of_the_pool_lie_upon_themselves(run: RunLayout) -> None:
    make_map(run.root, originals=shards_of(run, "pool"), name="twice")
    fact = find_fact(run, "map", "twice")
    own = pq.read_table(fact.table.parts[0])
    uri = originals_file(run, fact)
    assert uri is not None
    again = pq.read_table(uri)
    pool = np.stack([own["x"], own["y"]], axis=1)
    distance = np.linalg.norm(pool - np.stack([again["x"], again["y"]], axis=1), axis=1)
    assert np.median(distance) < 0.2 * np.ptp(pool, axis=0).max()


def test_of_many_the_same_few_are_drawn(run: RunLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(originals, "NUM_ORIGINALS", 7)
    first = make_map(run.root, originals=shards_of(run))
    assert first.num_originals == 7
    assert not make_map(run.root, originals=shards_of(run)).written


def test_the_report_shows_them(run: RunLayout) -> None:
    make_map(run.root, originals=shards_of(run))
    page = Path(report(run.root, "top")).read_text()
    assert re.search(r"and 12 original images", page)
    assert '"names":["not selected","top","original images"]' in page


def test_shards_without_samples_are_told(run: RunLayout, tmp_path: Path) -> None:
    empty = tmp_path / "empty.tar"
    empty.write_bytes(samples_tar({}))
    with pytest.raises(UsageError, match=r"no samples in .*empty\.tar"):
        make_map(run.root, originals=[str(empty)])


def test_a_bad_image_is_counted(run: RunLayout, tmp_path: Path) -> None:
    shard = tmp_path / "some.tar"
    shard.write_bytes(samples_tar({"bad": {"jpg": b"no picture"}}))
    result = make_map(run.root, originals=[*shards_of(run), str(shard)])
    assert "1 original image cannot be decoded: not drawn" in result.warnings
