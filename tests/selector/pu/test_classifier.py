from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from selector.pu.classifier import (
    HeadClassifier,
    read_classifier,
    refuse_other_features,
    write_classifier,
)
from selector.pu.fit import fit_head
from selector.pu.settings import make_settings
from selector.tables.layout import RunLayout
from shards.errors import StorageError, UsageError
from tests.support.pu import labelled, write_pool

pytestmark = pytest.mark.xdist_group("pu-classifier")  # one worker makes the fixtures, once


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> HeadClassifier:
    pool = write_pool(tmp_path_factory.mktemp("made") / "run", shards=2, per_shard=100)
    settings = make_settings("default", {"steps": 30, "lr": 0.01})
    return fit_head(pool.features, labelled(60), prior=0.3, settings=settings).classifier


@pytest.fixture
def layout(tmp_path: Path, classifier: HeadClassifier) -> RunLayout:
    """A run that holds the classifier `one`."""
    layout = RunLayout(str(tmp_path / "run"))
    write_classifier(layout, "one", classifier)
    return layout


def test_it_reads_back_the_same(layout: RunLayout) -> None:
    one, two = (read_classifier(layout, "one") for _ in range(2))
    rows = labelled(30).vectors_PD
    assert np.array_equal(one(rows)[0], two(rows)[0])
    assert one.card["features"]["teacher_fingerprint"] == "t1"
    assert one.digest == one.card["digest"]


def test_features_of_another_teacher_are_refused(layout: RunLayout, tmp_path: Path) -> None:
    pool = write_pool(tmp_path / "other", shards=1, per_shard=20, teacher="t2")
    with pytest.raises(UsageError, match='teacher_fingerprint "t2", the classifier was trained on'):
        refuse_other_features(read_classifier(layout, "one"), pool.features)


def test_damaged_files_are_named(layout: RunLayout) -> None:
    folder = Path(layout.pu_dir("one"))
    weights = (folder / "classifier.safetensors").read_bytes()
    (folder / "classifier.safetensors").write_bytes(weights[:100])
    with pytest.raises(StorageError, match=r"classifier\.safetensors is damaged"):
        read_classifier(layout, "one")
    (folder / "classifier.safetensors").write_bytes(weights[:-4] + b"\0\0\1\0")
    with pytest.raises(StorageError, match="other weights than its card says"):
        read_classifier(layout, "one")
    card = json.loads((folder / "card.json").read_text()) | {"version": 99}
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(UsageError, match="version 99"):
        read_classifier(layout, "one")
