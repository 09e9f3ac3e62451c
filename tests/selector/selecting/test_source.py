import numpy as np
import pyarrow as pa

from selector.recipe import load_recipe
from selector.selecting.bind import bind
from selector.selecting.rows import concatenate
from selector.selecting.source import NO_GROUP, STATUS_FLAG, WHERE_FLAG, candidates, single_rows
from selector.tables.schema import column, fact_schema
from tests.support.score_rows import connected, score_rows

ROWS = score_rows(500)
BY_ID = {row["row_id"]: row for row in ROWS.to_pylist()}
PU = pa.table(
    {"row_id": [0, 1], "prob": [0.5, None]},
    schema=fact_schema("pu", [column("prob", pa.float64(), "p")]),
)
RECIPE = {
    "source": {"where": "width >= 200"},
    "steps": [
        {"quota": {"by": "pseudo_label", "n": 5, "order": "noise_value"}},
        {"take": {"n": 5, "order": "pu.prob"}},
        {"where": "margin > 0.2"},
    ],
}


def test_chunks_carry_what_the_plan_reads() -> None:
    with connected(ROWS, pu=PU) as (connection, tables):
        plan = bind(load_recipe(RECIPE), connection, tables, class_names=None, selection_hashes={})
        chunks = list(candidates(connection, plan, chunk_rows=64))
    rows = concatenate(chunks)
    expected = {i for i, row in BY_ID.items() if row["status"] == "ok" and row["width"] >= 200}
    assert set(rows["row_id"].tolist()) == expected
    for at, row_id in enumerate(rows["row_id"].tolist()):
        row = BY_ID[row_id]
        content = rows["tie_high"][at].tobytes()[::-1] + rows["tie_low"][at].tobytes()[::-1]
        assert content == row["content_hash"]
        np.testing.assert_equal(rows["noise_value"][at], row["noise_value"])
        assert rows["group pseudo_label"][at] == row["pseudo_label"]
        assert rows["steps[2].where"][at] == (row["margin"] > np.float32(0.2))
        probability = 0.5 if row_id == 0 else np.nan
        np.testing.assert_equal(rows["pu.prob"][at], probability)


def test_nulls_are_nan_and_no_group_and_false() -> None:
    recipe = {**RECIPE, "source": {"status": "any", "where": "status <> 'ok'"}}
    with connected(ROWS, pu=PU) as (connection, tables):
        plan = bind(load_recipe(recipe), connection, tables, class_names=None, selection_hashes={})
        rows = concatenate(list(candidates(connection, plan)))
    assert len(rows["row_id"]) == 50
    assert np.isnan(rows["noise_value"]).all()
    assert (rows["group pseudo_label"] == NO_GROUP).all()
    assert not rows["steps[2].where"].any()


def test_single_rows_come_whether_they_pass_or_not() -> None:
    failed = next(i for i, row in BY_ID.items() if row["status"] != "ok")
    small = next(i for i, row in BY_ID.items() if row["width"] == 16)
    large = next(i for i, row in BY_ID.items() if row["width"] == 300)
    with connected(ROWS, pu=PU) as (connection, tables):
        plan = bind(load_recipe(RECIPE), connection, tables, class_names=None, selection_hashes={})
        chunk, rows = single_rows(connection, plan, [large, failed, small])
    assert chunk["row_id"].tolist() == rows["row_id"].to_pylist() == sorted([large, failed, small])
    flags = dict(
        zip(
            chunk["row_id"].tolist(),
            zip(chunk[STATUS_FLAG].tolist(), chunk[WHERE_FLAG].tolist(), strict=True),
            strict=True,
        )
    )
    assert flags == {large: (True, True), small: (True, False), failed: (False, False)}
