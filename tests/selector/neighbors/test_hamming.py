import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selector.neighbors.greedy import keep_first
from selector.neighbors.hamming import (
    MAX_RADIUS,
    HammingSpace,
    band_count,
    check_radius,
    distance,
    tells_looks,
)
from selector.neighbors.workers import workers
from selector.scores.hashes import phash
from shards.errors import UsageError

pytest.importorskip("faiss", reason="needs the extra `cpu`")


def near_hashes(size: int, *, seed: int) -> np.ndarray:
    """Random hashes, a third of them near-copies that differ in 0 to 8 bits."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, size, dtype=np.uint64)
    copies = size // 3
    hashes[-copies:] = hashes[rng.integers(0, size - copies, copies)]
    for _ in range(8):
        bit = np.uint64(1) << rng.integers(0, 64, copies).astype(np.uint64)
        hashes[-copies:] ^= np.where(rng.random(copies) < 0.5, bit, np.uint64(0))
    return hashes


@pytest.mark.parametrize("radius", [0, 3, 5, 6, 8, 9, 15])
def test_bands_miss_nothing(radius: int) -> None:
    hashes = near_hashes(600, seed=radius)
    ranked = np.random.default_rng(1).permutation(600)
    kept: list[int] = []
    for row in ranked.tolist():
        if not kept or distance(hashes[row], hashes[kept]).min() > radius:
            kept.append(row)
    with workers(2) as pool:
        outcome = keep_first(ranked, HammingSpace(hashes, radius=radius, pool=pool), block_rows=100)
    assert outcome.kept.tolist() == kept
    assert (distance(hashes[outcome.removed], hashes[outcome.kept_by]) <= radius).all()


@settings(max_examples=30)
@given(st.integers(0, 2**64 - 1), st.sets(st.integers(0, 63), max_size=MAX_RADIUS))
def test_any_flipped_bits_up_to_the_radius_are_found(value: int, bits: set[int]) -> None:
    other = value
    for bit in bits:
        other ^= 1 << bit
    hashes = np.array([value, other], np.uint64)
    with workers(1) as pool:
        space = HammingSpace(hashes, radius=len(bits), pool=pool)
        space.keep(hashes[:1], np.arange(1))
        assert space.find_kept(hashes[1:]).tolist() == [0]


def test_flat_and_striped_images_tell_nothing_and_others_do() -> None:
    rng = np.random.default_rng(0)
    flat = np.full((1, 32, 32), 200, np.uint8)
    black = np.zeros((1, 32, 32), np.uint8)
    gradient = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (1, 32, 1))
    photo = rng.integers(0, 256, (20, 32, 32)).astype(np.uint8)
    assert not tells_looks(phash(np.concatenate([flat, black, gradient]))).any()
    assert tells_looks(phash(photo)).all()


def test_bits_of_every_band_count() -> None:
    for radius in range(MAX_RADIUS + 1):
        bands = band_count(radius)
        assert bands * (64 // bands) <= 64
        check_radius(radius)
    for radius in (-1, MAX_RADIUS + 1):
        with pytest.raises(UsageError, match="expected 0 to 15 of 64 bits"):
            check_radius(radius)
