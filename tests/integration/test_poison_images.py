"""Images whose decoder really kills the process, in a run of real worker processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.execution import ExecutionConfig
from cluster.progress import Progress
from cluster.verbs.score import score
from selector.scoring.spec import ScoreSpec
from selector.tables.layout import RunLayout
from selector.tables.read import read
from selector.teachers.spec import TeacherSpec
from tests.support.lethal import DISTURBED, poison
from tests.support.pools import table_hashes, write_pool, write_shard

IMAGES = 40

pytestmark = pytest.mark.xdist_group("poison")


def test_poison_images_cost_themselves_and_two_restarts(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = write_pool(tmp_path / "pool", shards=1, images=8)
    victim = write_shard(pool / "shard-009.tar", images=IMAGES, seed=9)
    poison(victim, {3: "SEGV", 20: "EXIT", 21: "SEGV", 37: "EXIT"})
    spec = ScoreSpec(teacher=TeacherSpec(name="he/resnet8", weights=str(weights)))
    # Where nothing is lethal, the very same bytes are ordinary images.
    here = ExecutionConfig(executor="inline", threads=1, batch_size=16)
    score([str(pool)], spec=spec, out=str(tmp_path / "sound"), execution=here)
    monkeypatch.syspath_prepend(str(DISTURBED))  # which processes started from here on inherit
    notes: list[Progress] = []
    report = score(
        [str(pool)],
        spec=spec,
        out=str(tmp_path / "run"),
        execution=ExecutionConfig(executor="local", actors=1, threads=1, batch_size=16),
        max_bad="50%",
        on_progress=notes.append,
    )
    assert report.exit_code == 0
    assert report.statuses == {"crashed": 4, "ok": IMAGES + 4}
    assert report.quarantined == []
    assert sum("goes round again" in one.note for one in notes) == 2
    sound, found = (
        read(RunLayout(str(tmp_path / name)), "scores").to_pylist() for name in ("sound", "run")
    )
    crashed = {row["index"]: row["error"] for row in found if row["status"] == "crashed"}
    assert crashed == {
        3: "decoding this image kills the process (signal 11)",
        20: "decoding this image ends the process (3)",
        21: "decoding this image kills the process (signal 11)",
        37: "decoding this image ends the process (3)",
    }
    rest = [row for row in found if row["status"] == "ok"]
    ids = {row["row_id"] for row in rest}
    assert rest == [row for row in sound if row["row_id"] in ids]
    members = {name: digest for name, digest in table_hashes(tmp_path / "run").items()}
    same = table_hashes(tmp_path / "sound")
    assert all(same[name] == members[name] for name in same if name.startswith("members"))
