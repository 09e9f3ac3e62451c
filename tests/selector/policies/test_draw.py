import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from selector.policies.draw import random_order


@given(st.lists(st.integers(0, 2**62), unique=True, max_size=30), st.integers(0, 2**64 - 1))
def test_a_draw_belongs_to_the_row_alone(ids: list[int], seed: int) -> None:
    together = random_order(np.array(ids, dtype=np.int64), seed=seed)
    alone = [random_order(np.array([i], dtype=np.int64), seed=seed)[0] for i in ids]
    assert together.tolist() == alone
    assert ((together >= 0) & (together < 1)).all()


def test_draws_are_uniform_and_independent_of_row_order_and_shard() -> None:
    shards, per_shard = 50, 2_000
    ids = np.concatenate([(s << 32) + np.arange(per_shard) for s in range(shards)])
    draws = random_order(ids, seed=1)
    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    expected = len(ids) / 20
    # Chi-squared with 19 degrees of freedom: 43.8 is the 0.1 % point; the hash is fixed.
    assert ((counts - expected) ** 2 / expected).sum() < 43.8
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.01
    assert abs(np.corrcoef(draws, random_order(ids, seed=2))[0, 1]) < 0.01
    per_shard_means = draws.reshape(shards, per_shard).mean(axis=1)
    assert abs(per_shard_means - 0.5).max() < 0.03


def mix(x: int) -> int:
    """SplitMix64's finalizer on Python integers."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
    return x ^ (x >> 31)


@given(st.integers(0, 2**62), st.integers(0, 2**64 - 1))
def test_it_is_the_written_hash(row_id: int, seed: int) -> None:
    bits = mix(mix((row_id + 0x9E3779B97F4A7C15) % 2**64) ^ mix(seed ^ 0x6A09E667F3BCC908))
    expected = (bits >> 11) / 2**53
    assert random_order(np.array([row_id], dtype=np.int64), seed=seed)[0] == expected


def test_known_values_stay_as_they_are() -> None:
    # A changed hash would silently change every random selection ever named by its seed.
    draws = random_order(np.array([0, 1, 2**32], dtype=np.int64), seed=0)
    assert draws.tolist() == [0.16133060469538008, 0.2713837647322467, 0.3341906679206311]
