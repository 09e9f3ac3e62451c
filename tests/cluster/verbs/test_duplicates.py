"""`duplicates` on a made-up run: every grade, the guarantee, bad input, and a selection."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cluster
from cluster.run_lock import RunLock, RunLocked
from selector.neighbors.unit import cosine
from selector.selection import select
from selector.tables.facts import find_fact, open_fact
from selector.tables.query import query
from selector.tables.write import write_part
from shards.errors import UsageError
from tests.selector.neighbors.planted import planted
from tests.support.feature_tables import write_features
from tests.support.runs import SyntheticRun, write_run

pytest.importorskip("faiss", reason="needs the extra `cpu`")

SIZE = 300


@pytest.fixture
def run(tmp_path: Path) -> SyntheticRun:
    return write_run(tmp_path / "run", num_shards=3, per_shard=100)


def change_scores(run: SyntheticRun, **columns: pa.Array) -> pa.Table:
    """Rewrite the run's scores with other columns; returns them, in order of row_id."""
    table = run.scores
    for name, values in columns.items():
        at = table.column_names.index(name)
        table = table.set_column(at, table.schema.field(name), values.cast(table.schema.types[at]))
    for shard, part in enumerate(sorted(Path(run.root, "scores").glob("*.parquet"))):
        rows = table.slice(100 * shard, 100)
        write_part(str(part), rows.cast(pq.read_schema(part)))
    return table


def removed_by(run: SyntheticRun, grade: str) -> dict[int, int]:
    table = open_fact(find_fact(run.layout, f"duplicates_{grade}")).to_table()
    assert table["row_id"].to_pylist() == run.scores["row_id"].to_pylist()
    pairs = zip(table["row_id"].to_pylist(), table["duplicate_of"].to_pylist(), strict=True)
    return {row: keeper for row, keeper in pairs if keeper is not None}


def test_of_equal_bytes_the_best_stays(run: SyntheticRun) -> None:
    hashes = run.scores["content_hash"].to_pylist()
    hashes[10] = hashes[150] = hashes[250]  # 150 wins by its noise value
    hashes[19] = hashes[3]  # 19 has failed: it is nobody's duplicate
    noise = run.scores["noise_value"].to_pylist()
    noise[150], noise[10], noise[250] = 1e-9, 0.5, None
    scores = change_scores(
        run, content_hash=pa.array(hashes, pa.binary(16)), noise_value=pa.array(noise, pa.float32())
    )
    report = cluster.duplicates(run.root, grade="exact")
    ids = scores["row_id"].to_pylist()
    assert removed_by(run, "exact") == {ids[10]: ids[150], ids[250]: ids[150]}
    assert (report.removed, report.written) == (2, True)
    assert report.largest_groups == [
        {"row_id": ids[150], "key": scores["key"][150].as_py(), "duplicates": 2}
    ]
    assert cluster.duplicates(run.root, grade="exact").written is False
    highest = cluster.duplicates(run.root, grade="exact", descending=True)
    assert removed_by(run, "exact") == {ids[150]: ids[10], ids[250]: ids[10]}
    assert highest.id != report.id


def test_looks_within_a_radius_and_flat_images_never(run: SyntheticRun) -> None:
    phash = run.scores["phash"].to_pylist()
    phash[5] = phash[120] ^ 0b1011
    phash[7] = phash[8] = 2**63  # flat
    phash[9] = phash[11] = 0
    change_scores(run, phash=pa.array(phash, pa.uint64()))
    ids = run.scores["row_id"].to_pylist()
    best, other = sorted([5, 120], key=lambda row: run.scores["noise_value"][row].as_py())
    report = cluster.duplicates(run.root, grade="perceptual", radius=3)
    assert removed_by(run, "perceptual") == {ids[other]: ids[best]}
    assert report.about["not_compared"] == {"no_phash": 0, "flat_image": 4}
    found = query(run.root, "SELECT distance FROM duplicates_perceptual WHERE distance IS NOT NULL")
    assert found.to_pydict() == {"distance": [3]}
    assert cluster.duplicates(run.root, grade="perceptual", radius=2).removed == 0


def test_features_within_epsilon_and_what_has_none_never(run: SyntheticRun) -> None:
    vectors = planted(SIZE, 16)
    vectors[0] = vectors[1] = 0
    vectors[2, 3] = vectors[4, 3] = np.nan
    vectors[5], vectors[6] = vectors[8], 2 * vectors[8]
    write_features(run, vectors)
    report = cluster.duplicates(run.root, grade="semantic", epsilon=0.03)
    removed = removed_by(run, "semantic")
    ids = run.scores["row_id"].to_pylist()
    at = {row_id: row for row, row_id in enumerate(ids)}
    assert report.about["not_compared"] == {"no_usable_features": 4}
    assert not {ids[row] for row in (0, 1, 2, 4)} & {*removed, *removed.values()}
    assert sum(ids[row] in removed for row in (5, 6, 8)) >= 2
    assert 40 < len(removed) < 120
    # The guarantee, over every row, from the table as it is stored.
    table = open_fact(find_fact(run.layout, "duplicates_semantic")).to_table()
    for row_id, keeper, similarity in zip(*table.to_pydict().values(), strict=True):
        if keeper is None:
            assert similarity is None
            continue
        assert keeper not in removed
        near = cosine(vectors[at[row_id]][None], vectors[at[keeper]][None])[0]
        assert near >= 0.97
        assert similarity == pytest.approx(near, abs=1e-6)


def test_threads_and_the_order_of_shards_change_nothing(tmp_path: Path) -> None:
    """The same images in shards of another order: the same images are removed, for the same."""
    answers = []
    for number, (order, threads) in enumerate([((0, 1, 2), 1), ((2, 0, 1), 4)]):
        run = write_run(tmp_path / f"run{number}", num_shards=3, per_shard=100)
        vectors = planted(SIZE, 16, seed=5)
        moved = np.concatenate([np.arange(100) + 100 * shard for shard in order])
        columns = {n: run.scores[n].to_numpy().copy() for n in ("noise_value", "content_hash")}
        for values in (*columns.values(), vectors):  # twins: only their keys tell them apart
            values[250] = values[10]
        types = {"noise_value": pa.float32(), "content_hash": pa.binary(16)}
        scores = change_scores(
            run,
            key=run.scores["key"].take(pa.array(moved)),
            **{n: pa.array(values[moved], types[n]) for n, values in columns.items()},
        )
        changed = SyntheticRun(run.layout, scores)
        write_features(changed, vectors[moved])
        cluster.duplicates(run.root, grade="semantic", epsilon=0.03, threads=threads)
        keys = dict(zip(scores["row_id"].to_pylist(), scores["key"].to_pylist(), strict=True))
        removed = removed_by(changed, "semantic")
        cluster.duplicates(run.root, grade="exact", threads=threads)
        removed |= {-row: keeper for row, keeper in removed_by(changed, "exact").items()}
        keys |= {-row: key for row, key in keys.items()}
        answers.append({(row < 0, keys[row]): keys[keeper] for row, keeper in removed.items()})
    assert answers[0] == answers[1]
    assert len(answers[0]) > 40


def test_a_recipe_leaves_them_out(run: SyntheticRun) -> None:
    write_features(run, planted(SIZE, 16))
    report = cluster.duplicates(run.root, grade="semantic", epsilon=0.03)
    steps = [{"exclude": {"duplicates": "semantic"}}]
    selection = select(run.root, {"steps": steps}, "unique")
    assert selection.num_rows == SIZE - 15 - report.removed
    assert selection.stats["tables"]["duplicates_semantic"] == 1


def test_wrong_settings_say_what_fits(run: SyntheticRun) -> None:
    wrong = [
        ({"grade": "semantic"}, "has no features"),
        ({"grade": "exact", "radius": 3}, "--radius to perceptual"),
        ({"grade": "perceptual", "epsilon": 0.1}, "--epsilon belongs to semantic"),
        ({"grade": "perceptual", "radius": 40}, "expected 0 to 15"),
        ({"grade": "looks"}, "expected exact, perceptual, semantic"),
        ({"grade": "exact", "keep_by": "noise_valeu"}, "--keep-by: scores has no column"),
        ({"grade": "exact", "keep_by": "key"}, "expected a column of numbers"),
    ]
    for options, message in wrong:
        with pytest.raises(UsageError, match=message):
            cluster.duplicates(run.root, **options)
    write_features(run, planted(SIZE, 16))
    with pytest.raises(UsageError, match="epsilon 2: expected a cosine distance"):
        cluster.duplicates(run.root, grade="semantic", epsilon=2)
    with pytest.raises(UsageError, match="holds no tables"):
        cluster.duplicates(str(Path(run.root).parent))


def test_another_driver_is_not_disturbed(run: SyntheticRun) -> None:
    with RunLock(run.layout.lock), pytest.raises(RunLocked):
        cluster.duplicates(run.root, grade="exact")
