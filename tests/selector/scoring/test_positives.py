"""Images from outside get the features that they would have had inside."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from cluster import score
from cluster.execution import ExecutionConfig
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.positives import open_extractor
from selector.scoring.spec import ScoreSpec
from selector.tables.facts import find_fact, load_vectors
from selector.tables.layout import RunLayout
from selector.tables.read import read
from selector.teachers.spec import TeacherSpec
from shards.errors import StorageError, UsageError
from tests.support.images import TEXT, jpeg
from tests.support.pools import write_pool, write_teacher

INLINE = ExecutionConfig(executor="inline", threads=1, batch_size=16)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 images, features in full and 8 components of them, the newest."""
    folder = tmp_path_factory.mktemp("run")
    pool = write_pool(folder / "pool", shards=1, images=40)
    weights = write_teacher(folder / "t.safetensors")
    spec = ScoreSpec(
        teacher=TeacherSpec(
            name="he/resnet8", weights=str(weights), preprocessing={"resize_mode": "squash"}
        )
    )
    for mode, name in (("full", "whole"), ("pca:8", "small")):
        features = FeatureSpec(mode=mode, name=name)
        out = str(folder / "run")
        score([str(pool)], spec=spec, out=out, execution=INLINE, features=features)
    return folder / "run"


@pytest.fixture(scope="module")
def images(run: Path) -> list[bytes]:
    (shard,) = (run.parent / "pool").glob("*.tar")
    with tarfile.open(fileobj=io.BytesIO(shard.read_bytes())) as tar:
        names = [name for name in tar.getnames() if name.endswith(".jpg")]
        return [tar.extractfile(name).read() for name in names]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["whole", "small"])
def test_images_of_the_pool_get_their_own_features_back(
    run: Path, images: list[bytes], name: str
) -> None:
    _, expected = load_vectors(find_fact(RunLayout(str(run)), "features", name))
    order = np.random.default_rng(0).permutation(len(images))
    with open_extractor(str(run), which=name, threads=2) as extract:
        whole = extract(images)
        shuffled = extract([images[i] for i in order])
        few = extract(images[7:10])
    assert whole.valid.all()
    assert np.array_equal(whole.vectors, expected)
    assert np.array_equal(shuffled.vectors, expected[order])
    assert np.array_equal(few.vectors, expected[7:10])


def test_logits_are_those_behind_the_scores(run: Path, images: list[bytes]) -> None:
    with open_extractor(str(run)) as extract:
        found = extract(images)
    labels = read(RunLayout(str(run)), "scores", ["pseudo_label"])["pseudo_label"]
    assert found.logits.argmax(axis=1).tolist() == labels.to_pylist()


def test_a_broken_image_costs_its_row(run: Path) -> None:
    with open_extractor(str(run)) as extract:
        found = extract([jpeg(), TEXT, jpeg()])
        nothing = extract([])
    assert found.status == ["ok", "undecodable", "ok"]
    assert found.valid.tolist() == [True, False, True]
    assert not found.vectors[1].any()
    assert not found.logits[1].any()
    assert found.error[1]
    assert nothing.vectors.shape == (0, 8)
    assert nothing.logits.shape == (0, 10)


def test_the_newest_features_are_meant_and_threads_come_back(run: Path) -> None:
    before = torch.get_num_threads()
    with open_extractor(str(run)) as extract:
        assert extract.fact.name == "small"
    assert torch.get_num_threads() == before


def test_another_teacher_is_refused_by_its_fingerprint(run: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    other = write_teacher(tmp_path / "other.safetensors", name="he/resnet8", num_classes=10)
    data = bytearray(other.read_bytes())
    data[-1] ^= 1
    other.write_bytes(bytes(data))
    with (
        pytest.raises(UsageError, match="the run was scored with"),
        open_extractor(str(run), weights=str(other)),
    ):
        pass


def test_features_that_this_code_would_not_make_are_refused(run: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    newest = max((copied / "tables").glob("features-*.json"))
    newest.write_text(newest.read_text().replace('"eager-fp32"', '"other"'))
    newest.write_text(newest.read_text().replace('"id": "', '"id": "0'))
    with (
        pytest.raises(UsageError, match="runtime: 'other' in the table, 'eager-fp32' here"),
        open_extractor(str(copied)),
    ):
        pass


def test_a_run_without_features_or_basis_says_so(run: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    next((copied / "facts" / "features").glob("*.safetensors")).unlink()
    with pytest.raises(StorageError), open_extractor(str(copied)):
        pass
    for path in (copied / "tables").glob("features-*"):
        path.unlink()
    with pytest.raises(UsageError, match="no features"), open_extractor(str(copied)):
        pass
