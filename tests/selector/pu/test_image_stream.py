from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from selector.pu.image_stream import image_batches, images_of_rows
from selector.scoring.spec import ScoreSpec
from selector.tables.schema import row_id
from selector.teachers.spec import TeacherSpec
from selector.teachers.zoo import default_preprocessing
from shards.errors import UsageError
from tests.support.pools import write_pool

SPEC = ScoreSpec(teacher=TeacherSpec(name="he/resnet8"))
PREPROCESSING = default_preprocessing("he/resnet8")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str]]:
    folder = write_pool(tmp_path_factory.mktemp("images"), shards=2, images=12)
    return [(i, str(path)) for i, path in enumerate(sorted(folder.glob("*.tar")))]


def batches(shards: list[tuple[int, str]], count: int, *, seed: int, skip: set[int]) -> np.ndarray:
    stream = image_batches(
        shards,
        4,
        spec=SPEC,
        preprocessing=PREPROCESSING,
        skip=lambda row: row in skip,
        seed=seed,
        buffer_images=5,
    )
    return torch.cat(list(islice(stream, count))).numpy()


def test_every_image_once_an_epoch_but_those_left_out(shards: list[tuple[int, str]]) -> None:
    skip = {row_id(0, 3), row_id(1, 0), row_id(1, 1), row_id(1, 2)}
    first, second = (
        {image.tobytes() for image in part}
        for part in np.split(batches(shards, 10, seed=0, skip=skip), 2)
    )
    assert len(first) == 20
    assert first == second
    rows = np.array(sorted(skip))
    held = images_of_rows(shards, rows, spec=SPEC, preprocessing=PREPROCESSING)
    assert held.shape == (4, 3, 32, 32)
    assert not {image.tobytes() for image in held.numpy()} & first


def test_the_order_follows_from_the_seed(shards: list[tuple[int, str]]) -> None:
    one, same, other = (batches(shards, 3, seed=seed, skip=set()) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_pool_without_usable_images_ends(shards: list[tuple[int, str]]) -> None:
    every = {row_id(shard, i) for shard in (0, 1) for i in range(12)}
    with pytest.raises(UsageError, match="no image that can be decoded"):
        batches(shards, 1, seed=0, skip=every)
    none = images_of_rows(shards, np.array([row_id(7, 0)]), spec=SPEC, preprocessing=PREPROCESSING)
    assert none.shape == (0, 3, 32, 32)
