"""Only what nobody needs is garbage: leftovers and superseded files; tables stay whole."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from cluster.ledger import Ledger, Marker
from cluster.run_garbage import find_garbage
from selector.tables.facts import write_fact_table
from selector.tables.layout import part_name
from selector.tables.read import read
from selector.tables.write import write_table_list
from tests.support.runs import SyntheticRun, write_facts, write_run


@pytest.fixture
def run(tmp_path: Path) -> SyntheticRun:
    made = write_run(tmp_path / "run", num_shards=2, per_shard=10)
    for shard in range(2):
        Ledger(made.layout.ledger_dir).write(Marker(part_name(shard, 0), "a" * 12, "b" * 12))
    return made


def names(run: SyntheticRun, quiet_s: float = -1.0) -> list[str]:
    return [found.uri[len(run.root) + 1 :] for found in find_garbage(run.layout, quiet_s=quiet_s)]


def test_a_sound_run_has_none(run: SyntheticRun) -> None:
    write_facts(run, "pu", {"row_id": run.scores["row_id"], "pu_score": run.scores["max_prob"]})
    assert names(run) == []


def test_leftovers_superseded_parts_and_lists(run: SyntheticRun) -> None:
    root = Path(run.root)
    parts = [run.layout.scores_part(part_name(shard, 0)) for shard in range(2)]
    (root / "scores" / "00000009-00000000.parquet").write_bytes(b"of no marker")
    (root / "scores" / ".00000001-00000000.parquet.123-ab.tmp").write_bytes(b"killed")
    (root / ".plan-ab12" / "scores").mkdir(parents=True)
    (root / ".plan-ab12" / "scores" / "x.parquet").write_bytes(b"cut off")
    (root / "selections" / "half").mkdir(parents=True)
    (root / "selections" / "half" / "selection.parquet").write_bytes(b"unfinished")
    write_table_list(run.layout, "scores", parts, inputs="again")
    assert names(run) == [
        ".plan-ab12/scores/x.parquet",
        "scores/.00000001-00000000.parquet.123-ab.tmp",
        "scores/00000009-00000000.parquet",
        "selections/half/selection.parquet",
        "tables/scores-1.json",
    ]
    assert names(run, quiet_s=3600) == [], "they may be somebody's work"
    for found in find_garbage(run.layout, quiet_s=-1.0):
        os.unlink(found.uri)
    assert len(read(run.layout, "scores")) == 20


def test_every_fact_table_keeps_its_newest_list(run: SyntheticRun) -> None:
    columns = {"row_id": run.scores["row_id"], "pu_score": run.scores["max_prob"]}
    write_facts(run, "pu", {name: pa.chunked_array(column) for name, column in columns.items()})
    part = run.layout.facts_part("pu", "0123abcd", part_name(0, 0))
    for fact_id in ("aaaa", "bbbb", "aaaa"):
        write_fact_table(run.layout, "pu", fact_id, [part], about={}, inputs=fact_id + "x")
    write_fact_table(run.layout, "pu", "aaaa", [part], about={}, inputs="newer")
    found = names(run)
    assert "tables/pu-1.json" not in found, "another table of the kind, not an older version"
    assert found
    assert all(name.startswith("tables/pu-") for name in found)


def test_without_markers_no_part_is_judged(run: SyntheticRun) -> None:
    for marker in Path(run.layout.ledger_dir).iterdir():
        marker.unlink()
    (Path(run.root) / "scores" / "00000009-00000000.parquet").write_bytes(b"")
    assert names(run) == []
