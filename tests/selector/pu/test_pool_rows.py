from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from selector.pu import pool_rows
from selector.pu.pool_rows import FeatureRows
from shards.errors import UsageError
from tests.support.pu import DIM, Pool, add_features, write_pool


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return write_pool(tmp_path_factory.mktemp("pool"))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool of 1,200 rows as if it did not fit into memory."""
    monkeypatch.setattr(pool_rows, "_CHUNK_ROWS", 64)


def all_rows(pool: Pool) -> np.ndarray:
    rows = list(pool_rows.checked_vectors(pool.features, pool.features.table.parts[0]))
    for part in pool.features.table.parts[1:]:
        rows += pool_rows.checked_vectors(pool.features, part)
    return np.concatenate([chunk.vectors[chunk.valid] for chunk in rows])


def as_set(rows: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in rows}


@pytest.mark.parametrize("block_rows", [10_000, 100])
def test_every_row_once_an_epoch_but_the_held_out(
    pool: Pool, block_rows: int, small_blocks: None
) -> None:
    rows = FeatureRows(pool.features, block_bytes=2 * DIM * block_rows)
    assert rows.num_rows == 1200
    whole = as_set(all_rows(pool))
    assert len(whole) == 1140  # one in twenty failed
    held = as_set(rows.held_out_MD)
    assert 0.1 * 1140 < len(held) < 0.3 * 1140
    size = 1140 - len(held)  # one batch is an epoch
    first, second = islice(rows.batches(size, seed=0), 2)
    assert as_set(first) == as_set(second) == whole - held
    assert not np.array_equal(first, second)


def test_the_order_is_random_and_follows_from_the_seed(pool: Pool, small_blocks: None) -> None:
    rows = FeatureRows(pool.features, block_bytes=2 * DIM * 100)
    one, again, other = (
        np.concatenate(list(islice(rows.batches(50, seed=seed), 10))) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    # Half of an epoch has rows of all shards.
    parts = [
        as_set(next(pool_rows.checked_vectors(pool.features, part)).vectors)
        for part in pool.features.table.parts
    ]
    assert all(as_set(one) & part for part in parts)


def test_statistics_are_those_of_the_pool(pool: Pool) -> None:
    rows = FeatureRows(pool.features)
    exact = all_rows(pool).astype(np.float64)
    np.testing.assert_allclose(rows.mean_D, exact.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(rows.deviation_D, exact.std(axis=0), rtol=1e-4)


def test_held_out_rows_do_not_depend_on_blocks_or_seed(pool: Pool, small_blocks: None) -> None:
    one = FeatureRows(pool.features)
    two = FeatureRows(pool.features, block_bytes=1, seed=5)
    assert np.array_equal(one.held_out_ids, two.held_out_ids)
    assert np.array_equal(one.held_out_MD, two.held_out_MD)
    assert (np.diff(one.held_out_ids) > 0).all()


def test_nan_is_refused_by_row(tmp_path: Path) -> None:
    pool = write_pool(tmp_path / "run")
    broken = add_features(
        pool.run, shards=3, per_shard=400, share=0.3, teacher="broken", broken=True
    )
    with pytest.raises(
        UsageError, match=r"NaN or infinite values in 1 rows of .* row_id 4294967303"
    ):
        FeatureRows(broken)


def test_principal_components_share_one_scale(pool: Pool) -> None:
    plain = FeatureRows(pool.features)
    about = {**pool.features.about, "mode": "pca"}
    reduced = FeatureRows(replace(pool.features, about=about))
    assert np.ptp(plain.deviation_D) > 0
    expected = np.sqrt((plain.deviation_D.astype(float) ** 2).mean())
    assert np.allclose(reduced.deviation_D, expected)
    assert np.array_equal(reduced.mean_D, plain.mean_D)
