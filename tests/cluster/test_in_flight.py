from __future__ import annotations

import json
from pathlib import Path

from cluster.in_flight import InFlight
from cluster.outcomes import InHand, Standing
from selector.scoring.task import ScoreTask
from selector.tables.layout import RunLayout
from shards.manifest import ShardEntry


def test_news_while_it_runs_and_nothing_after(tmp_path: Path) -> None:
    news = InFlight(RunLayout(str(tmp_path)), epoch=4)
    news.close()
    task = ScoreTask(ShardEntry(3, "x.tar", 99, "e"))
    news.tell(Standing(2, 1, 7, (InHand(0, task, 12.34, 64),), 5), repeated=1, quarantined=0)
    told = json.loads((tmp_path / "in_flight.json").read_text())
    assert (told["epoch"], told["workers"], told["starting"], told["waiting"]) == (4, 2, 1, 7)
    assert (told["deaths"], told["repeated"], told["quarantined"]) == (5, 1, 0)
    assert told["in_flight"] == [
        {"worker": 0, "part": "00000003-00000000", "seconds": 12.3, "images": 64}
    ]
    news.close()
    assert not (tmp_path / "in_flight.json").exists()
