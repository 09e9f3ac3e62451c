"""`clusters` on a made-up run, and recipes that balance by them."""

from pathlib import Path

import numpy as np
import pytest

import cluster
from selector.selection import select
from selector.tables.facts import find_fact, open_fact
from selector.tables.query import query
from shards.errors import UsageError
from tests.support.feature_tables import write_features
from tests.support.runs import SyntheticRun, write_run

pytest.importorskip("faiss", reason="needs the extra `cpu`")

DIRECTIONS = np.eye(4, 8)


@pytest.fixture
def run(tmp_path: Path) -> SyntheticRun:
    """200 rows in four plain directions, 100, 60, 30 and 10 of them."""
    run = write_run(tmp_path / "run", num_shards=2, per_shard=100, failed_every=0)
    which = np.repeat(np.arange(4), [100, 60, 30, 10])
    rng = np.random.default_rng(0)
    vectors = DIRECTIONS[rng.permutation(which)] + 0.05 * rng.standard_normal((200, 8))
    vectors[7] = 0
    vectors[8] = np.nan
    write_features(run, vectors * rng.uniform(0.1, 10, (200, 1)))
    return run


def test_directions_are_found_and_told(run: SyntheticRun) -> None:
    report = cluster.clusters(run.root, k=4)
    sizes = sorted(one["images"] for one in report.clusters)
    assert sum(sizes) == 198
    assert sizes[0] in (9, 10)
    assert report.about["not_clustered"] == 2
    table = open_fact(find_fact(run.layout, "clusters")).to_table()
    assert table["row_id"].to_pylist() == run.scores["row_id"].to_pylist()
    assert table["cluster"][7].as_py() is None
    assert table["cluster"][8].as_py() is None
    rows = table.to_pylist()
    distance = {row["row_id"]: row["distance"] for row in rows if row["cluster"] is not None}
    assert max(distance.values()) < 0.1
    for one in report.clusters:
        inside = [row["row_id"] for row in rows if row["cluster"] == one["cluster"]]
        nearest = sorted(inside, key=lambda row_id: (distance[row_id], row_id))[:5]
        assert one["examples"] == nearest
        assert one["images"] == len(inside)
    assert cluster.clusters(run.root, k=4).written is False


def test_threads_change_nothing_and_a_name_tells_tables_apart(run: SyntheticRun) -> None:
    one = cluster.clusters(run.root, k=3, threads=1, name="one")
    part = find_fact(run.layout, "clusters", one.id).table.parts[0]
    before = Path(part).read_bytes()
    Path(one.card).unlink()
    again = cluster.clusters(run.root, k=3, threads=4, name="one")
    assert again.written
    assert Path(part).read_bytes() == before
    cluster.clusters(run.root, k=2, name="two")
    assert query(run.root, "SELECT max(cluster) AS m FROM clusters_one").to_pydict() == {"m": [2]}
    assert query(run.root, "SELECT max(cluster) AS m FROM clusters_two").to_pydict() == {"m": [1]}


def test_at_most_so_many_of_each(run: SyntheticRun) -> None:
    cluster.clusters(run.root, k=4)
    quota = {"by": "clusters.cluster", "n": 20, "order": "noise_value", "shortage": "accept"}
    selection = select(run.root, {"steps": [{"quota": quota}]}, "capped")
    assert selection.num_rows in (69, 70)


def test_more_clusters_than_vectors(run: SyntheticRun) -> None:
    with pytest.raises(UsageError, match=r"200 clusters of 198 usable vectors .* --k 198 or fewer"):
        cluster.clusters(run.root, k=200)
    with pytest.raises(UsageError, match="k = 0: expected 1 to"):
        cluster.clusters(run.root, k=0)
