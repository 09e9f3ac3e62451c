from pathlib import Path

import numpy as np
import pyarrow as pa

from selector.pu.summary import BINS, summarize
from selector.tables.facts import find_fact
from selector.tables.schema import row_id
from tests.support.runs import write_facts, write_run


def test_counts_and_histograms(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_shards=1, per_shard=4)
    columns = {
        "row_id": pa.array(row_id(0, 0) + np.arange(4)),
        "pu_score": pa.array([-9.0, 0.0, 1.0, None], pa.float32()),
        "pu_prob": pa.array([0.0, 0.25, 0.5, None], pa.float32()),
    }
    write_facts(run, "pu", columns)
    scores = {
        "positives": np.array([1.0, 2.0], np.float32),
        "held_out": np.array([2.0], np.float32),
        "pool": np.array([-4.0, 0.0], np.float32),
    }
    found = summarize(find_fact(run.layout, "pu"), scores)
    assert (found["num_pool"], found["num_scored"], found["num_selected"]) == (4, 3, 1)
    assert found["probability_sum"] == 0.75
    bars = found["histograms"]
    assert len(bars["edges"]) == BINS + 1
    assert (bars["edges"][0], bars["edges"][-1]) == (-4, 2)
    assert bars["pool"][0] == 1  # -9 lies beyond the edge
    assert [sum(bars[name]) for name in ("pool", "positives", "held_out")] == [3, 2, 1]
