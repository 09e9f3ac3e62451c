from __future__ import annotations

import pickle

from selector.scoring.task import PartResult, ScoreTask
from shards.manifest import ShardEntry


def test_a_task_is_named_by_shard_and_start() -> None:
    task = ScoreTask(ShardEntry(12, "/pool/a.tar", 34, "e"), start=640, run="/run")
    assert task.name == "00000012-00000640"
    assert task.num_bytes == 34


def test_tasks_and_results_travel() -> None:
    task = ScoreTask(ShardEntry(0, "s3://b/a.tar", 1, "e"), crashed=(3,))
    result = PartResult("n", ("a", "b"), {"images": 1.0})
    assert pickle.loads(pickle.dumps((task, result))) == (task, result)
