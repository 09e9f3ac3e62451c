from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from selector.tables.facts import (
    FactTable,
    fact_tables,
    find_fact,
    iter_vectors,
    make_fact_id,
    open_fact,
    write_fact_table,
)
from selector.tables.layout import part_name
from selector.tables.query import query
from selector.tables.schema import column, fact_schema, row_id
from selector.tables.vectors import encode_vectors, vector_column
from selector.tables.write import write_part
from shards.errors import StorageError, UsageError
from tests.support.runs import SyntheticRun, write_run

VECTORS = fact_schema("features", [vector_column("features", 2, "made up")])


@pytest.fixture
def run(tmp_path: Path) -> SyntheticRun:
    return write_run(tmp_path / "run", num_shards=2, per_shard=4, failed_every=0)


def write_features(run: SyntheticRun, made_from: str, *, scale: float, name: str = "") -> FactTable:
    fact_id = make_fact_id({"by": made_from})
    parts = []
    for shard in range(2):
        rows = np.arange(4)
        vectors = scale * np.stack([rows, rows + 10 * shard], axis=1)
        table = pa.Table.from_arrays(
            [pa.array(row_id(shard, 0) + rows), encode_vectors(vectors, rows != 1)], schema=VECTORS
        )
        parts.append(run.layout.facts_part("features", fact_id, part_name(shard, 0)))
        write_part(parts[-1], table)
    return write_fact_table(
        run.layout, "features", fact_id, parts, about={"by": made_from}, name=name
    )


def write_pu(run: SyntheticRun, prior: float, *, name: str = "") -> FactTable:
    fact_id = make_fact_id({"prior": prior})
    schema = fact_schema("pu", [column("pu_score", pa.float32(), "raw", direction="higher")])
    part = run.layout.facts_part("pu", fact_id, part_name(0, 0))
    write_part(part, pa.table([[0, 1], pa.array([prior, -prior], pa.float32())], schema=schema))
    return write_fact_table(run.layout, "pu", fact_id, [part], about={"prior": prior}, name=name)


def test_tables_of_a_kind_live_side_by_side(run: SyntheticRun) -> None:
    first = write_pu(run, 0.25, name="quarter")
    second = write_pu(run, 0.5)
    assert [fact.fact_id for fact in fact_tables(run.layout)] == [first.fact_id, second.fact_id]
    assert find_fact(run.layout, "pu") == second
    assert find_fact(run.layout, "pu", "quarter") == first
    assert find_fact(run.layout, "pu", first.fact_id[:6]).about == {"prior": 0.25}
    sql = "SELECT max(pu_score) FROM "
    assert query(run.root, sql + "pu").to_pydict() == {"max(pu_score)": [0.5]}
    for view in first.views:
        assert query(run.root, sql + view).to_pydict() == {"max(pu_score)": [0.25]}


def test_the_same_table_again_is_no_new_version(run: SyntheticRun) -> None:
    write_pu(run, 0.25)
    assert write_pu(run, 0.25).table.version == 1
    write_pu(run, 0.5)
    # Asked for again it is what the kind's bare name means.
    assert write_pu(run, 0.25).table.version == 3
    assert [fact.about["prior"] for fact in fact_tables(run.layout, "pu")] == [0.5, 0.25]


def test_a_name_belongs_to_one_table(run: SyntheticRun) -> None:
    write_pu(run, 0.25, name="mine")
    with pytest.raises(UsageError, match="has pu called 'mine' already"):
        write_pu(run, 0.5, name="mine")
    for name in ("Mine", "a-b", "0123abcd"):
        with pytest.raises(UsageError, match="another --name"):
            write_pu(run, 0.5, name=name)


def test_an_unknown_table_lists_the_known(run: SyntheticRun) -> None:
    with pytest.raises(UsageError, match="no features; `coursepack score POOL --out RUN"):
        find_fact(run.layout, "features")
    fact = write_pu(run, 0.25, name="quarter")
    with pytest.raises(UsageError, match=rf"no pu 'half'; it has {fact.fact_id} \(quarter\)"):
        find_fact(run.layout, "pu", "half")


def test_vectors_are_read_part_by_part_in_order(run: SyntheticRun) -> None:
    fact = write_features(run, "a", scale=2.0)
    chunks = list(iter_vectors(fact, chunk_rows=3))
    assert [len(chunk.row_ids) for chunk in chunks] == [3, 1, 3, 1]
    row_ids = np.concatenate([chunk.row_ids for chunk in chunks])
    assert row_ids.tolist() == [row_id(s, i) for s in range(2) for i in range(4)]
    assert chunks[0].valid.tolist() == [True, False, True]
    assert chunks[2].vectors.tolist() == [[0, 20], [0, 0], [4, 24]]
    assert open_fact(fact).count_rows() == 8


def test_a_damaged_part_is_named(run: SyntheticRun) -> None:
    fact = write_features(run, "a", scale=1.0)
    Path(fact.table.parts[1]).write_bytes(b"junk")
    with pytest.raises(StorageError, match=r"00000001-00000000\.parquet cannot be read"):
        list(iter_vectors(fact))
    with pytest.raises(UsageError, match="no column 'embedding'"):
        list(iter_vectors(fact, column="embedding"))
