from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from selector.recipe import load_recipe
from selector.selecting.bind import bind
from selector.selecting.plan import Plan
from selector.selecting.rows import concatenate
from selector.selecting.source import Chunk, candidates
from selector.selecting.stream import Scanned, can_stream, stream
from selector.tables.connection import connect_tables, run_tables
from tests.support.runs import SyntheticRun, write_facts, write_run
from tests.support.score_rows import connected, score_rows

RECIPE = {
    "source": {"where": "width >= 64 AND Scores.height < 500"},
    "steps": [
        {"exclude": {"duplicates": "twins"}},
        {"where": "margin > 0.2 OR entropy IS NULL"},
        {"quota": {"by": "pseudo_label", "n": 5, "order": "noise_value"}},
        {"quota": {"by": "groups.cluster", "n": 2, "order": "num_bytes"}},
        {"take": {"n": 5, "order": "groups.distance"}},
    ],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    run = write_run(tmp_path_factory.mktemp("stream") / "run", num_shards=3, per_shard=50)
    ids = run.scores["row_id"].to_numpy()
    write_facts(
        run,
        "groups",  # the last rows have none
        {
            "row_id": pa.array(ids[:-20]),
            "cluster": pa.array(ids[:-20] % 5, pa.int32()),
            "distance": pa.array(ids[:-20] % 11, pa.float32()),
        },
    )
    copies = pa.array(np.zeros(len(ids), np.int64), mask=ids % 9 != 0)
    write_facts(run, "twins", {"row_id": pa.array(ids), "duplicate_of": copies})
    return run


def _both_ways(run: SyntheticRun, recipe: dict) -> tuple[Chunk, Chunk]:
    tables = run_tables(run.layout)
    with connect_tables(tables) as connection:
        plan = bind(load_recipe(recipe), connection, tables, class_names=None, selection_hashes={})
        assert can_stream(plan, tables)
        by_sql = concatenate(list(candidates(connection, plan)))
        streamed = concatenate(list(stream(connection, tables, plan)))
    order = np.argsort(by_sql["row_id"])
    return {name: values[order] for name, values in by_sql.items()}, streamed


@pytest.mark.parametrize("status", ["ok", "any"])
@pytest.mark.parametrize("where", [RECIPE["source"]["where"], None])
def test_the_stream_is_what_sql_answers(run: SyntheticRun, status: str, where: str | None) -> None:
    source = {"status": status} | ({"where": where} if where else {})
    by_sql, streamed = _both_ways(run, {**RECIPE, "source": source})
    assert sorted(streamed) == sorted(by_sql)
    for name, values in by_sql.items():
        np.testing.assert_array_equal(streamed[name], values, err_msg=name)
        assert streamed[name].dtype == values.dtype, name


def _plan(run: SyntheticRun, recipe: dict) -> tuple[Plan, bool]:
    tables = run_tables(run.layout)
    with connect_tables(tables) as connection:
        plan = bind(load_recipe(recipe), connection, tables, class_names=None, selection_hashes={})
    return plan, can_stream(plan, tables)


@pytest.mark.parametrize(
    "where",
    [
        "noise_value < (SELECT avg(noise_value) FROM scores)",
        "row_id IN (SELECT row_id FROM twins WHERE duplicate_of IS NULL)",
        "COLUMNS(['width', 'height']) > 20",
    ],
)
def test_what_a_row_alone_does_not_tell_is_left_to_sql(run: SyntheticRun, where: str) -> None:
    assert not _plan(run, {"source": {"where": where}, "steps": []})[1]
    assert not _plan(run, {"steps": [{"where": where}]})[1]


def test_tables_in_memory_are_left_to_sql() -> None:
    with connected(score_rows(20)) as (connection, tables):
        recipe = load_recipe({"steps": []})
        plan = bind(recipe, connection, tables, class_names=None, selection_hashes={})
        assert not can_stream(plan, tables)


def test_rows_are_counted_without_their_hashes_and_progress_ends_at_the_total(
    run: SyntheticRun,
) -> None:
    told: list[tuple[int, int]] = []

    def on_scanned(scanned: Scanned) -> None:
        told.append((scanned.rows, scanned.total_rows))

    tables = run_tables(run.layout)
    with connect_tables(tables) as connection:
        recipe = load_recipe({"steps": [{"take": {"quantile": 0.5, "order": "noise_value"}}]})
        plan = bind(recipe, connection, tables, class_names=None, selection_hashes={})
        chunks = list(stream(connection, tables, plan, with_hash=False, on_scanned=on_scanned))
    assert all(sorted(chunk) == ["noise_value", "row_id"] for chunk in chunks)
    assert told == [(50, 150), (100, 150), (150, 150)]


def test_a_source_that_nothing_passes_streams_nothing(run: SyntheticRun, tmp_path: Path) -> None:
    tables = run_tables(run.layout)
    with connect_tables(tables) as connection:
        recipe = load_recipe({"source": {"where": "width > 100000"}, "steps": []})
        plan = bind(recipe, connection, tables, class_names=None, selection_hashes={})
        assert list(stream(connection, tables, plan)) == []
