from __future__ import annotations

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from selector.scores.hashes import content_hash, phash
from selector.teachers.resample import grey_stack, resize_stack
from shards.decode import decode
from tests.support.images import jpeg, picture


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    return resize_stack(grey_stack(pixels[None]), (32, 32), "box")


def distance(first: np.ndarray, second: np.ndarray) -> int:
    hashes = [int(phash(thumbnail(pixels))[0]) for pixels in (first, second)]
    return (hashes[0] ^ hashes[1]).bit_count()


def by_formula(grey: np.ndarray) -> int:
    """The DCT-II sum by sum, in exact integers."""
    cosine = [
        [round(np.cos(np.pi * (2 * n + 1) * k / 64) * 2**13) for n in range(32)] for k in range(8)
    ]
    low = [
        sum(int(grey[y, x]) * cosine[v][y] * cosine[h][x] for y in range(32) for x in range(32))
        for v in range(8)
        for h in range(8)
    ]
    middle = sorted(low)[31:33]
    bits = "".join("1" if 2 * value > sum(middle) else "0" for value in low)
    return int(bits, 2)


def test_phash_equals_its_formula() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (2, 32, 32), np.uint8)
    batch = np.concatenate([noise, thumbnail(picture())])
    assert phash(batch).dtype == np.uint64
    assert phash(batch).tolist() == [by_formula(grey) for grey in batch]


@given(st.integers(1, 5), st.integers(0, 1000))
def test_phash_of_a_batch_is_that_of_each_image(number: int, seed: int) -> None:
    batch = np.random.default_rng(seed).integers(0, 256, (number, 32, 32), np.uint8)
    assert phash(batch).tolist() == [int(phash(one[None])[0]) for one in batch]


def test_flat_images_have_only_the_constant_bit() -> None:
    flat = np.stack([np.full((32, 32), grey, np.uint8) for grey in (0, 1, 128, 255)])
    assert phash(flat).tolist() == [0, 1 << 63, 1 << 63, 1 << 63]


def test_the_most_significant_bits_are_the_lowest_frequencies() -> None:
    ramp = np.linspace(255, 0, 32).astype(np.uint8)
    across = np.broadcast_to(ramp, (32, 32))
    bits = [f"{value:064b}" for value in phash(np.stack([across, across.T])).tolist()]
    # Bit 0 is the constant, bit 1 the first horizontal, bit 8 the first vertical frequency.
    assert (bits[0][0], bits[0][1], bits[0][8]) == ("1", "1", "0")
    assert (bits[1][0], bits[1][1], bits[1][8]) == ("1", "0", "1")


def test_near_images_are_near() -> None:
    original = picture(96, 128, seed=3)
    worse = decode(jpeg(original, quality=30))
    smaller = resize_stack(original[None], (48, 64), "bicubic")[0]
    brighter = (original * 0.8 + 40).astype(np.uint8)
    for near in (worse, smaller, brighter):
        assert distance(original, near) <= 6
    assert distance(original, picture(96, 128, seed=4)) > 12


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 16, 16), np.uint8), np.zeros((32, 32), np.uint8), np.zeros((1, 32, 32))]
)
def test_phash_refuses_other_thumbnails(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        phash(wrong)


@given(st.binary(max_size=200))
def test_content_hash_is_xxh3_128_big_endian(data: bytes) -> None:
    hashed = content_hash(data)
    assert len(hashed) == 16
    assert int.from_bytes(hashed, "big") == xxhash.xxh3_128_intdigest(data)
    assert content_hash(memoryview(data)) == hashed


def test_content_hash_of_nothing_is_the_published_value() -> None:
    assert content_hash(b"").hex() == "99aa06d3014798d86001c324468d497f"
