"""The sample is fixed by the pool alone; how it is used is tested with the features of a run."""

from __future__ import annotations

from itertools import pairwise

import pytest

from cluster.pca_sample import SAMPLE_IMAGES, SAMPLE_SHARDS, sample_tasks
from shards.manifest import ShardEntry


@pytest.mark.parametrize("count", [1, 3, 32, 33, 1000])
def test_shards_are_spread_evenly_and_make_up_the_sample(count: int) -> None:
    entries = [ShardEntry(i, f"/pool/{i}.tar", 1, "e") for i in range(count)]
    tasks = sample_tasks(entries, "/tmp/sample")
    shards = [task.shard.shard_id for task in tasks]
    assert len(set(shards)) == len(shards) == min(SAMPLE_SHARDS, count)
    steps = {b - a for a, b in pairwise(shards)}
    assert len(steps) <= 2
    assert {task.start for task in tasks} == {0}
    images = sum(task.stop or 0 for task in tasks)
    assert SAMPLE_IMAGES <= images < SAMPLE_IMAGES + len(tasks)
    assert {task.run for task in tasks} == {"/tmp/sample"}
