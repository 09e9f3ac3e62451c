from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from shards.orientation import as_stored, read_orientation, upright
from tests.support import images


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_what_pillow_does(orientation: int) -> None:
    pixels = images.picture(5, 7)
    stored = Image.fromarray(pixels)
    stored.getexif()[0x0112] = orientation
    turned = upright(pixels, orientation)
    assert np.array_equal(turned, np.array(ImageOps.exif_transpose(stored)))
    assert turned.flags.c_contiguous
    assert np.array_equal(upright(pixels[:, :, 0], orientation), turned[:, :, 0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_as_stored_undoes_upright(orientation: int) -> None:
    pixels = images.picture(4, 6)
    assert np.array_equal(as_stored(upright(pixels, orientation), orientation), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("big_endian", [False, True])
def test_reads_the_tag_with_and_without_prefix(orientation: int, big_endian: bool) -> None:
    block = images.exif_block(orientation, big_endian=big_endian)
    assert read_orientation(block) == orientation
    assert read_orientation(block[6:]) == orientation
    assert read_orientation(memoryview(block)) == orientation


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"Exif\0\0",
        b"XX*\0",
        images.exif_block(0),
        images.exif_block(9),
        images.exif_block(6)[:-10],
        images.exif_block(6).replace(b"*\0", b"+\0"),
        images.exif_block(6).replace(
            struct.pack("<HHI", 0x0112, 3, 1), b"\x12\x01\x04\0\x01\0\0\0"
        ),
        b"II*\0" + b"\xff\xff\xff\xff",
    ],
)
def test_a_block_that_says_nothing_valid_means_as_stored(block: bytes) -> None:
    assert read_orientation(block) == 1


@given(st.binary(max_size=200), st.integers(0, 60))
def test_any_bytes_give_an_orientation(noise: bytes, cut: int) -> None:
    assert 1 <= read_orientation(noise) <= 8
    assert 1 <= read_orientation(images.exif_block(5)[:cut] + noise) <= 8
