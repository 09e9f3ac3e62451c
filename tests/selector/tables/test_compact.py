from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from selector.explain import explain
from selector.selection import select
from selector.tables.compact import compact_tables
from selector.tables.compaction import records, retire_compacted
from selector.tables.connection import run_tables
from selector.tables.facts import FactTable, fact_tables, find_fact, iter_vectors, write_fact_table
from selector.tables.layout import part_name
from selector.tables.query import query
from selector.tables.read import read, read_table_list, table_parts
from selector.tables.schema import column, fact_schema, row_id
from selector.tables.vectors import encode_vectors, vector_column
from selector.tables.write import write_part, write_table_list
from shards.errors import CoursepackError, StorageError, UsageError
from tests.support.runs import SyntheticRun, write_run

SHARDS, ROWS = 7, 20
NAMES = [part_name(shard, 0) for shard in range(SHARDS)]
CLUSTERS = fact_schema("clusters", [column("cluster", pa.int32(), "made up")])
FEATURES = fact_schema("features", [vector_column("features", 2, "made up")])
TOP = {"steps": [{"take": {"n": 30, "order": "noise_value"}}]}


@pytest.fixture
def run(tmp_path: Path) -> SyntheticRun:
    return write_run(tmp_path / "run", num_shards=SHARDS, per_shard=ROWS)


def _clusters(run: SyntheticRun, fact_id: str, value: int, *, shards: int = SHARDS) -> FactTable:
    parts = []
    for name in NAMES[:shards]:
        rows = row_id(int(name[:8]), 0) + np.arange(ROWS)
        table = pa.table([rows, np.full(ROWS, value, np.int32)], schema=CLUSTERS)
        parts.append(run.layout.facts_part("clusters", fact_id, name))
        write_part(parts[-1], table)
    return write_fact_table(run.layout, "clusters", fact_id, parts, about={}, name=f"c{value}")


def _features(run: SyntheticRun) -> FactTable:
    parts = []
    for name in NAMES:
        rows = row_id(int(name[:8]), 0) + np.arange(ROWS)
        vectors = np.stack([np.arange(ROWS), np.full(ROWS, int(name[:8]))], axis=1)
        table = pa.Table.from_arrays(
            [pa.array(rows), encode_vectors(vectors, np.arange(ROWS) % 7 != 3)], schema=FEATURES
        )
        parts.append(run.layout.facts_part("features", "ab12", name))
        write_part(parts[-1], table)
    return write_fact_table(run.layout, "features", "ab12", parts, about={})


def _declare_all(run: SyntheticRun, shards: int = SHARDS, inputs: str = "") -> None:
    for kind, part in (("scores", run.layout.scores_part), ("members", run.layout.members_part)):
        write_table_list(run.layout, kind, map(part, NAMES[:shards]), inputs=inputs)


def test_rows_and_order_stay_in_fewer_files(run: SyntheticRun) -> None:
    before = {kind: read(run.layout, kind) for kind in ("scores", "members")}
    told: list[tuple[int, int]] = []
    done = compact_tables(run.layout, {}, rows_per_file=50, on_part=lambda *now: told.append(now))
    assert (done.files_before, done.files_after, done.written, done.parts) == (14, 6, 4, 12)
    assert told == [(at, 12) for at in range(1, 13)]
    for kind, table in before.items():
        assert read(run.layout, kind).to_pylist() == table.to_pylist()
        parts = table_parts(run.layout, kind)
        assert [Path(part).name[:17] for part in parts] == [NAMES[0], NAMES[3], NAMES[6]]
    again = compact_tables(run.layout, {}, rows_per_file=50)
    assert (again.written, again.files_after) == (0, 6)
    assert read_table_list(run.layout, "scores").version == 2


def test_the_same_rows_give_the_same_bytes_however_they_were_compacted(
    run: SyntheticRun, tmp_path: Path
) -> None:
    compact_tables(run.layout, {}, rows_per_file=10**6)
    (part,) = table_parts(run.layout, "scores")
    write_part(str(tmp_path / "whole.parquet"), run.scores)
    assert Path(part).read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_facts_keep_the_boundaries_of_the_scores_and_the_newest_stays_it(
    run: SyntheticRun,
) -> None:
    _clusters(run, "aa11", 1)
    _features(run)
    _clusters(run, "bb22", 2)
    vectors = [chunk.vectors for chunk in iter_vectors(find_fact(run.layout, "features"))]
    compact_tables(run.layout, {}, rows_per_file=50)
    stems = {
        kind: [Path(part).name for part in table_parts(run.layout, kind)]
        for kind in ("scores", "clusters", "features")
    }
    assert stems["clusters"] == stems["features"] == stems["scores"]
    assert [fact.fact_id for fact in fact_tables(run.layout, "clusters")] == ["aa11", "bb22"]
    assert query(run.root, "SELECT DISTINCT cluster FROM clusters").to_pylist() == [{"cluster": 2}]
    found = query(run.root, "SELECT count(*) AS n, min(cluster) AS c FROM clusters_c1").to_pylist()
    assert found == [{"n": SHARDS * ROWS, "c": 1}]
    after = [chunk.vectors for chunk in iter_vectors(find_fact(run.layout, "features"))]
    np.testing.assert_array_equal(np.concatenate(after), np.concatenate(vectors))


def test_facts_that_come_later_are_compacted_later(run: SyntheticRun) -> None:
    compact_tables(run.layout, {}, rows_per_file=50)
    _clusters(run, "aa11", 1)
    _clusters(run, "cc33", 3, shards=5)  # lacks parts: those of the second file stay parts
    done = compact_tables(run.layout, {}, rows_per_file=50)
    assert done.written == 3
    lists = {fact.fact_id: fact.table.relative_parts for fact in fact_tables(run.layout)}
    assert len(lists["aa11"]) == 3
    assert [path.split("/")[0] for path in lists["cc33"]] == ["compact", "facts", "facts"]


def test_selections_outlive_compaction(run: SyntheticRun) -> None:
    chosen = select(run.root, TOP, "top")
    key = run.scores["key"][0].as_py()
    before = explain(run.root, key, selection="top")
    compact_tables(run.layout, {}, rows_per_file=50)
    assert not select(run.root, TOP, "top").written
    Path(run.layout.table_list("scores", 1)).unlink()  # as clearing up does
    assert explain(run.root, key, selection="top") == before
    again = select(run.root, TOP, "again")
    assert again.stats["tables"] == chosen.stats["tables"] == {"scores": 1}
    files = [Path(one.path, "selection.parquet").read_bytes() for one in (chosen, again)]
    assert files[0] == files[1]


def test_new_shards_come_beside_the_compacted_files(run: SyntheticRun) -> None:
    _declare_all(run, 3)
    compact_tables(run.layout, {}, rows_per_file=50)
    assert len(table_parts(run.layout, "scores")) == 1
    version = run_tables(run.layout).versions["scores"]
    _declare_all(run, 3)
    assert run_tables(run.layout).versions["scores"] == version
    assert len(table_parts(run.layout, "scores")) == 1
    _declare_all(run)  # what a later `score` does: it names every part
    assert [Path(part).parent.name for part in table_parts(run.layout, "scores")] == (
        ["scores"] * 5
    )
    assert run_tables(run.layout).versions["scores"] > version
    assert read(run.layout, "scores").to_pylist() == run.scores.to_pylist()


def test_a_last_file_that_is_not_full_is_made_anew_with_what_follows(run: SyntheticRun) -> None:
    _declare_all(run, 2)
    compact_tables(run.layout, {}, rows_per_file=100)
    (small,) = records(run.layout)
    _declare_all(run)
    compact_tables(run.layout, {}, rows_per_file=100)
    (whole, rest) = records(run.layout)
    assert (whole.parts, rest.parts) == (tuple(NAMES[:5]), tuple(NAMES[5:]))
    assert small not in (whole, rest)
    assert len(table_parts(run.layout, "scores")) == 2
    assert read(run.layout, "scores").to_pylist() == run.scores.to_pylist()


def test_a_part_that_is_made_anew_takes_its_file_out_of_use(run: SyntheticRun) -> None:
    sources = {name: f"{name}-first" for name in NAMES}
    compact_tables(run.layout, sources, rows_per_file=50)
    num_files = len(table_parts(run.layout, "scores"))
    changed = pa.Table.from_pylist(
        [row | {"width": 7} for row in run.scores.slice(ROWS, ROWS).to_pylist()],
        schema=run.scores.schema,
    )
    write_part(run.layout.scores_part(NAMES[1]), changed)
    mended = {**sources, NAMES[1]: f"{NAMES[1]}-second"}
    with pytest.raises(UsageError, match="run the same `coursepack score` again, then compact"):
        compact_tables(run.layout, mended, rows_per_file=50)
    retire_compacted(run.layout, mended)
    _declare_all(run, inputs="mended")
    assert len(table_parts(run.layout, "scores")) == num_files + 2
    widths = read(run.layout, "scores", ["width"])["width"].to_pylist()
    assert widths[ROWS : 2 * ROWS] == [7] * ROWS
    assert run_tables(run.layout).versions["scores"] == 3
    compact_tables(run.layout, mended, rows_per_file=50)
    assert read(run.layout, "scores", ["width"])["width"].to_pylist() == widths
    assert len(table_parts(run.layout, "scores")) == num_files


@pytest.mark.parametrize("copied", [1, 4, 8])
def test_whoever_is_interrupted_goes_on(run: SyntheticRun, copied: int) -> None:
    def stop(done: int, _: int) -> None:
        if done == copied:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compact_tables(run.layout, {}, rows_per_file=50, on_part=stop)
    assert not list(Path(run.root).rglob("*.tmp"))
    assert read(run.layout, "scores").to_pylist() == run.scores.to_pylist()
    told: list[int] = []
    compact_tables(run.layout, {}, rows_per_file=50, on_part=lambda done, total: told.append(total))
    assert set(told) == {12 if copied < 6 else 6}
    assert len(table_parts(run.layout, "scores")) == 3
    assert read(run.layout, "scores").to_pylist() == run.scores.to_pylist()


def test_large_parts_stay_alone(run: SyntheticRun) -> None:
    assert compact_tables(run.layout, {}, rows_per_file=40).written == 0
    assert len(table_parts(run.layout, "scores")) == SHARDS


def _rot(path: str) -> None:
    Path(path).write_bytes(Path(path).read_bytes()[:300])


def _swap(path: str) -> None:
    Path(path).write_bytes(Path(path.replace(NAMES[1], NAMES[2])).read_bytes())


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (_rot, StorageError, f"{NAMES[1]}.parquet cannot be read as Parquet"),
        (_swap, CoursepackError, f"{NAMES[2]}.parquet does not continue the rows"),
    ],
)
def test_what_cannot_be_copied_is_named_and_nothing_changes(
    run: SyntheticRun, spoil: Callable[[str], None], error: type, message: str
) -> None:
    before = read_table_list(run.layout, "scores")
    spoil(run.layout.scores_part(NAMES[1]))
    with pytest.raises(error, match=message):
        compact_tables(run.layout, {}, rows_per_file=60)
    assert read_table_list(run.layout, "scores") == before
    assert records(run.layout) == []
