"""make: the fact table `map`, beside the scores row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selector.maps import embed
from selector.maps.make import make_map
from selector.selection import select
from selector.tables.facts import find_fact
from selector.tables.query import query
from selector.tables.read import read, table_parts
from selector.tables.vectors import decode_vectors, encode_vectors
from selector.tables.write import write_part
from shards.errors import UsageError
from tests.support.features import write_features
from tests.support.runs import SyntheticRun, write_run

pytest.importorskip("openTSNE")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SyntheticRun:
    monkeypatch.setattr(embed, "_ITERATIONS", (20, 20))
    made = write_run(tmp_path / "run", num_shards=2, per_shard=40)
    select(made.root, {"name": "few", "steps": [{"take": {"n": 6, "order": "noise_value"}}]})
    return made


def test_every_scored_image_has_a_place_and_failed_ones_have_none(run: SyntheticRun) -> None:
    write_features(run.layout)
    result = make_map(run.root, name="first")
    assert (result.num_drawn, result.num_scored, result.written) == (76, 76, True)
    assert result.warnings == ()
    table = read(run.layout, "map")
    assert table["row_id"].to_pylist() == run.scores["row_id"].to_pylist()
    scored = np.array([status == "ok" for status in run.scores["status"].to_pylist()])
    assert (table["x"].is_valid().to_numpy() == scored).all()
    assert query(run.root, "SELECT count(x) AS n FROM map_first").to_pydict() == {"n": [76]}


def test_the_same_map_is_not_made_twice(run: SyntheticRun) -> None:
    write_features(run.layout)
    first = make_map(run.root)
    other = make_map(run.root, seed=1)
    assert other.fact_id != first.fact_id
    assert find_fact(run.layout, "map").fact_id == other.fact_id
    again = make_map(run.root)
    assert (again.fact_id, again.written) == (first.fact_id, False)
    # Asked for again it is what `map` means.
    assert find_fact(run.layout, "map").fact_id == first.fact_id


def test_a_sample_holds_the_selection(run: SyntheticRun) -> None:
    write_features(run.layout)
    result = make_map(run.root, selections=["few"], points=20)
    assert result.num_drawn == 20
    sql = "SELECT count(m.x) AS n FROM selection_few JOIN map m USING (row_id)"
    assert query(run.root, sql).to_pydict() == {"n": [6]}


def test_unusable_features_are_left_out_and_counted(run: SyntheticRun) -> None:
    fact = write_features(run.layout)
    part = fact.table.parts[0]
    table = pq.read_table(part)
    vectors, valid = decode_vectors(table["features"])
    vectors = vectors.copy()
    vectors[0] = np.nan
    valid[1] = False
    column = encode_vectors(vectors, valid)
    write_part(part, pa.table([table["row_id"], column], schema=table.schema))
    result = make_map(run.root)
    assert (result.num_drawn, result.without_features) == (74, 2)
    assert result.warnings == ("2 scored images without usable features: not drawn",)
    assert read(run.layout, "map")["x"].to_pylist()[:2] == [None, None]


def test_wrong_use_is_told(run: SyntheticRun) -> None:
    with pytest.raises(UsageError, match="no features; `coursepack score POOL --out RUN"):
        make_map(run.root)
    write_features(run.layout)
    with pytest.raises(UsageError, match="no selection 'fewer'"):
        make_map(run.root, selections=["fewer"])
    with pytest.raises(UsageError, match="points is 4: expected 5 to 100,000"):
        make_map(run.root, points=4)
    assert len(table_parts(run.layout, "scores")) == 2


def test_features_of_other_images_make_no_map(run: SyntheticRun, tmp_path: Path) -> None:
    write_features(run.layout)
    for part in find_fact(run.layout, "features").table.parts:
        table = pq.read_table(part)
        none = encode_vectors(np.zeros((table.num_rows, 8)), np.zeros(table.num_rows, bool))
        write_part(part, pa.table([table["row_id"], none], schema=table.schema))
    with pytest.raises(UsageError, match="0 of 76 scored images have features"):
        make_map(run.root)
