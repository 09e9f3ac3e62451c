from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distiller.data.image_batch import each_once
from distiller.data.lineage import read_lineage
from distiller.data_options import DataOptions
from distiller.training_data import (
    Loading,
    open_evaluation_set,
    open_pool_sample,
    open_training_set,
)
from tests.distiller.data.test_lineage import write_lineage
from tests.distiller.small_sets import CLASSES, GREY_32, bars, write_shards


def loading(folder: str, *, evaluation: str | None = None, memory_bytes: int = 1 << 30) -> Loading:
    return Loading(
        options=DataOptions(
            train=(folder,),
            eval=None if evaluation is None else (evaluation,),
            memory_bytes=memory_bytes,
        ),
        preprocessing=GREY_32,
        device=torch.device("cpu"),
        threads=1,
        num_classes=CLASSES,
        class_names=None,
    )


def test_an_unlabelled_pool_needs_no_labels_and_no_weights(tmp_path: Path) -> None:
    how = loading(write_shards(tmp_path / "pool", 6))
    index = how.index(how.options.train, labelled=False)
    train = open_training_set(how, index, read_lineage(index), supervised=False)
    assert train.labels_N is None
    assert train.weights_N is None
    assert train.images.num_images == 6


def test_labels_and_weights_follow_the_images(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "set", 6, labelled=True)
    write_lineage(folder, [0, 1, 2, 1, 1, 1])
    how = loading(folder)
    index = how.index(how.options.train, labelled=True)
    train = open_training_set(how, index, read_lineage(index), supervised=True)
    assert train.labels_N is not None
    assert train.labels_N.tolist() == [0, 1, 2, 3, 0, 1]
    assert train.weights_N is not None
    assert train.weights_N.tolist() == [0, 1, 2, 1, 1, 1]


def test_evaluation_images_keep_their_labels(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "test", 5, labelled=True)
    found = open_evaluation_set(loading("unused", evaluation=folder))
    assert found is not None
    assert found.labels_N.tolist() == [0, 1, 2, 3, 0]
    assert open_evaluation_set(loading("unused")) is None


@pytest.mark.parametrize("memory_bytes", [0, 1 << 30])
def test_a_pool_sample_is_drawn_by_the_seed_without_repetition(
    tmp_path: Path, memory_bytes: int
) -> None:
    folder = write_shards(tmp_path / "pool", 50, per_shard=20)
    how = loading("unused", memory_bytes=memory_bytes)

    def sample(seed: int, num: int) -> list[bytes]:
        images = open_pool_sample(how, [folder], num_images=num, seed=seed)
        return [
            image.numpy().tobytes()
            for batch in each_once(images, batch_size=7)
            for image in batch.images_BCSS
        ]

    everything = [bars(i).tobytes() for i in range(50)]
    first = sample(0, 12)
    assert len(set(first)) == 12
    assert [image for image in everything if image in first] == first
    assert sample(0, 12) == first
    assert sample(1, 12) != first
    assert sample(0, 1000) == everything
