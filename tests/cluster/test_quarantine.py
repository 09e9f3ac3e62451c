from __future__ import annotations

from pathlib import Path

from cluster import quarantine
from cluster.board import Crumb
from cluster.outcomes import Quarantined
from cluster.retry import Failure
from selector.scoring.task import ScoreTask
from selector.tables.layout import RunLayout
from shards.manifest import ShardEntry


def test_a_record_tells_where_the_bytes_lie_and_goes_when_the_part_is_done(tmp_path: Path) -> None:
    layout = RunLayout(str(tmp_path))
    assert quarantine.held_parts(layout) == set()
    task = ScoreTask(ShardEntry(3, "s3://b/x.tar", 99, "e"), start=64, stop=128)
    failure = Failure("retry", "WorkerDied", "killed by signal 11", "Traceback ...")
    quarantine.put(layout, Quarantined(task, failure, 3, (Crumb(70, 5120, 9),)))
    assert quarantine.held_parts(layout) == {"00000003-00000064"}
    (record,) = quarantine.records(layout)
    assert record.pop("at")
    assert record == {
        "part": "00000003-00000064", "uri": "s3://b/x.tar", "num_bytes": 99, "etag": "e",
        "start": 64, "stop": 128, "suspects": [{"index": 70, "offset": 5120, "size": 9}],
        "kind": "WorkerDied", "reason": "killed by signal 11", "traceback": "Traceback ...",
        "tries": 3,
    }  # fmt: skip
    quarantine.release(layout, "00000003-00000064")
    assert quarantine.records(layout) == []
