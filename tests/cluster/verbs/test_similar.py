"""`similar` and `leakage` on real images: shards, a teacher, features of images outside the run."""

import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cluster
from cluster.execution import ExecutionConfig
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.spec import ScoreSpec
from selector.selection import select
from selector.tables.query import query
from selector.teachers.spec import TeacherSpec
from shards.errors import StorageError, UsageError
from shards.reader import open_shard
from tests.support.pools import write_pool, write_shard, write_teacher

pytestmark = pytest.mark.xdist_group("similar")  # one worker makes the fixtures, once

pytest.importorskip("faiss", reason="needs the extra `cpu`")


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("similar")
    write_pool(folder / "pool", shards=2, images=20)
    weights = write_teacher(folder / "teacher.safetensors")
    teacher = TeacherSpec(name="he/resnet8", weights=str(weights), num_classes=10)
    cluster.score(
        [str(folder / "pool")],
        spec=ScoreSpec(teacher=teacher),
        out=str(folder / "run"),
        execution=ExecutionConfig(actors=1, device="cpu"),
        features=FeatureSpec(mode="full"),
    )
    return folder


@pytest.fixture(scope="module")
def run(scored: Path) -> str:
    return str(scored / "run")


@pytest.fixture
def image(scored: Path, tmp_path: Path) -> Path:
    """The bytes of image 3 of the second shard, as a file."""
    with open_shard(str(scored / "pool" / "shard-001.tar")) as reader:
        sample = list(reader.samples(stop=4))[3]
    path = tmp_path / "photo.jpg"
    path.write_bytes(bytes(sample.data[0]))
    return path


def test_an_image_of_the_run_and_a_page(run: str, tmp_path: Path) -> None:
    page = tmp_path / "near.html"
    report = cluster.similar(run, "s01-0003", k=5, html=str(page))
    assert report.row_id == (1 << 32) + 3
    assert len(report.neighbors) == 5
    near = [one.similarity for one in report.neighbors]
    assert near == sorted(near, reverse=True)
    assert report.row_id not in [one.row_id for one in report.neighbors]
    text = page.read_text()
    assert text.count('<img src="data:image') == 6
    assert "<script" not in text
    assert report.neighbors[0].key in text


def test_an_image_file_finds_itself(run: str, image: Path) -> None:
    by_features = cluster.similar(run, str(image), k=3)
    assert by_features.row_id is None
    assert by_features.neighbors[0].key == "s01-0003"
    assert by_features.neighbors[0].similarity == pytest.approx(1.0, abs=1e-4)
    by_looks = cluster.similar(run, str(image), k=3, by="phash")
    assert [by_looks.neighbors[0].key, by_looks.neighbors[0].distance] == ["s01-0003", 0]


def test_hostile_names_are_text_on_the_page(scored: Path, image: Path) -> None:
    hostile = image.with_name("<script>alert(1)<&>.jpg")
    hostile.write_bytes(image.read_bytes())
    page = image.with_name("page.html")
    cluster.similar(str(scored / "run"), str(hostile), by="phash", html=str(page))
    assert "<script>" not in page.read_text()


def test_questions_without_an_answer(run: str, tmp_path: Path) -> None:
    flat = tmp_path / "flat.png"
    Image.new("RGB", (40, 40), (9, 9, 9)).save(flat)
    junk = tmp_path / "junk.jpg"
    junk.write_bytes(b"no image")
    for arguments, message in [
        ({"image": "s99-0000"}, "neither a file nor the key"),
        ({"image": str(flat), "by": "phash"}, "the image is flat"),
        ({"image": str(junk)}, "junk.jpg: un"),
        ({"image": "s01-0003", "k": 0}, "expected 1 to 1000"),
        ({"image": "s01-0003", "features": "other"}, "no features 'other'"),
    ]:
        with pytest.raises(UsageError, match=message):
            cluster.similar(run, **arguments)


def test_an_evaluation_set_of_shards(run: str, scored: Path, tmp_path: Path) -> None:
    """Two images of the pool as they are, one saved again, and strangers."""
    with open_shard(str(scored / "pool" / "shard-000.tar")) as reader:
        ours = [bytes(sample.data[0]) for sample in reader.samples(stop=3)]
    buffer = io.BytesIO()
    Image.open(io.BytesIO(ours[2])).save(buffer, "JPEG", quality=80)
    write_shard(tmp_path / "strangers.tar", images=5, seed=77)
    with tarfile.open(tmp_path / "known.tar", "w") as tar:
        for number, data in enumerate([ours[0], ours[1], buffer.getvalue()]):
            info = tarfile.TarInfo(f"test-{number}.jpg")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    shards = [str(tmp_path / name) for name in ("known.tar", "strangers.tar")]
    report = cluster.leakage(run, against=shards, grades=["exact", "perceptual"])
    assert report.num_evaluation == 8
    assert report.leaked == {"exact": 2, "perceptual": 1}
    assert [(one["key"], one["evaluation_key"]) for one in report.examples] == [
        (f"s00-000{number}", f"test-{number}") for number in range(3)
    ]
    # By features alone the two are found as well: their cosine is 1.
    semantic = cluster.leakage(run, against=shards[:1], grades=["semantic"], epsilon=1e-5)
    found = query(
        run, f"SELECT row_id, similarity FROM leakage_{semantic.id} WHERE grade IS NOT NULL"
    )
    assert set(found["row_id"].to_pylist()) >= {0, 1}
    assert np.allclose(found["similarity"], 1, atol=2e-5)
    cluster.leakage(run, against=shards, grades=["exact", "perceptual"])
    clean = select(run, {"steps": [{"exclude": {"duplicates": "leakage"}}]}, "clean")
    assert clean.num_rows == 37


def test_an_evaluation_set_that_is_a_run(run: str, tmp_path: Path) -> None:
    other = shutil.copytree(run, tmp_path / "eval")
    report = cluster.leakage(run, against=[str(other)], epsilon=1e-5)
    assert report.leaked == {"exact": 40, "perceptual": 0, "semantic": 0}
    assert report.examples[0]["evaluation_key"] == report.examples[0]["key"]
    # Features of other taps do not compare.
    for part in (other / "tables").glob("features-*.json"):
        part.write_text(part.read_text().replace('"mode": "full"', '"mode": "other"'))
    with pytest.raises(UsageError, match="cannot be compared with this run's: mode"):
        cluster.leakage(run, against=[str(other)], grades=["semantic"])


def test_what_cannot_be_compared_is_told(run: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is the run itself"):
        cluster.leakage(run, against=[run])
    with pytest.raises(UsageError, match="expected some of exact"):
        cluster.leakage(run, against=[run], grades=[])
    (tmp_path / "empty").mkdir()
    with pytest.raises(StorageError, match=r"no \.tar"):
        cluster.leakage(run, against=[str(tmp_path / "empty")], grades=["exact"])
