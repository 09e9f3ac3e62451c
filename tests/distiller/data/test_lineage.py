from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distiller.data.image_index import build_image_index
from distiller.data.lineage import read_lineage
from shards.errors import UsageError
from tests.distiller.small_sets import write_shards


def write_lineage(folder: str, weights: list[float], *, per_shard: int = 1000) -> None:
    names = sorted(path.name for path in Path(folder).glob("*.tar"))
    table = pa.table(
        {
            "shard": [names[i // per_shard] for i in range(len(weights))],
            "index": pa.array([i % per_shard for i in range(len(weights))], pa.int64()),
            "row_id": pa.array(range(len(weights)), pa.int64()),
            "weight": pa.array(weights, pa.float32()),
        }
    ).replace_schema_metadata({"run": "/runs/a", "selection": "top6"})
    pq.write_table(table, Path(folder) / "lineage.parquet")


def test_shards_without_a_lineage_have_none(tmp_path: Path) -> None:
    assert read_lineage(build_image_index([write_shards(tmp_path / "pool", 2)])) is None


def test_weights_follow_their_images_and_average_one(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "pool", 6, per_shard=4, drop=(2,))
    write_lineage(folder, [1, 2, 99, 4, 5, 8], per_shard=4)
    lineage = read_lineage(build_image_index([folder]))
    assert lineage is not None
    assert lineage.weights_N is not None
    assert lineage.weights_N.tolist() == pytest.approx([0.25, 0.5, 1.0, 1.25, 2.0])
    assert lineage.exports == ({"folder": folder, "run": "/runs/a", "selection": "top6"},)


def test_equal_weights_are_no_weights(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "pool", 3)
    write_lineage(folder, [2.0, 2.0, 2.0])
    lineage = read_lineage(build_image_index([folder]))
    assert lineage is not None
    assert lineage.weights_N is None


def test_a_folder_without_a_lineage_weighs_one_beside_one_that_has(tmp_path: Path) -> None:
    plain, exported = write_shards(tmp_path / "a", 2), write_shards(tmp_path / "b", 2)
    write_lineage(exported, [3.0, 3.0])
    lineage = read_lineage(build_image_index([plain, exported]))
    assert lineage is not None
    assert lineage.weights_N is not None
    assert lineage.weights_N.tolist() == [0.5, 0.5, 1.5, 1.5]


def test_other_weights_have_another_fingerprint(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "pool", 2)
    fingerprints = set()
    for weights in ([1.0, 2.0], [2.0, 1.0]):
        write_lineage(folder, weights)
        lineage = read_lineage(build_image_index([folder]))
        assert lineage is not None
        fingerprints.add(lineage.fingerprint)
    assert len(fingerprints) == 2


@pytest.mark.parametrize("weights", [[1.0, -1.0], [0.0, 0.0], [1.0, float("nan")]])
def test_impossible_weights_are_refused(tmp_path: Path, weights: list[float]) -> None:
    folder = write_shards(tmp_path / "pool", 2)
    write_lineage(folder, weights)
    with pytest.raises(UsageError, match="expected finite numbers from 0 on, not all 0"):
        read_lineage(build_image_index([folder]))


def test_a_lineage_that_lacks_an_image_names_it(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "pool", 3)
    write_lineage(folder, [1.0, 2.0])
    with pytest.raises(UsageError, match=r"knows nothing of shard-000000\.tar sample 2"):
        read_lineage(build_image_index([folder]))


def test_a_lineage_without_weights_is_refused(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "pool", 1)
    pq.write_table(pa.table({"row_id": [0]}), Path(folder) / "lineage.parquet")
    with pytest.raises(UsageError, match=r"lacks the columns \['index', 'shard', 'weight'\]"):
        read_lineage(build_image_index([folder]))
