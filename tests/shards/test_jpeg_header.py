from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shards.errors import ImageError
from shards.jpeg_header import BASELINE, PROGRESSIVE, read_jpeg_header
from tests.support import images


def test_header_names_size_and_coding() -> None:
    header = read_jpeg_header(images.jpeg(images.picture(17, 33)))
    assert (header.height, header.width) == (17, 33)
    assert (header.components, header.precision) == (3, 8)
    assert (header.coding, header.orientation) == (BASELINE, 1)
    assert read_jpeg_header(images.jpeg(progressive=True)).coding == PROGRESSIVE
    assert read_jpeg_header(images.grey_jpeg()).components == 1
    assert read_jpeg_header(images.cmyk_jpeg()).components == 4


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_comes_from_exif(orientation: int, big_endian: bool) -> None:
    data = images.exif_jpeg(orientation, big_endian=big_endian)
    assert read_jpeg_header(data).orientation == orientation
    assert read_jpeg_header(memoryview(data)).orientation == orientation


def test_exif_may_stand_behind_other_segments() -> None:
    data = images.exif_jpeg(6)
    for marker, payload in ((0xFE, b"a comment"), (0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")):
        data = images.with_segment(data, marker, payload)
    assert read_jpeg_header(data).orientation == 6


def test_fill_bytes_bare_markers_and_junk_are_skipped() -> None:
    data = images.jpeg()
    for noise in (b"\xff" * 5, b"\xff\x01", b"\xff\xd3\xff\xd4", b"junk", b"junk\xff\x00more"):
        assert read_jpeg_header(data[:2] + noise + data[2:]) == read_jpeg_header(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xd8\xff", "after 3 bytes"),
        (b"\xff\xd8\xff\xd9....", "without a frame header"),
        (b"\xff\xd8\xff\xda\0\x04....", "without a frame header"),
        (b"\xff\xd8\xff\xe0\0\0....", "without a frame header"),
        (b"\xff\xd8\xff\x00" + bytes(100), "without a marker"),
        (b"\xff\xd8" + b"\xff\xfe\0\x02" * 20_001, "over 20000 segments"),
    ],
)
def test_damaged_headers(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        read_jpeg_header(data)
    assert caught.value.status == "undecodable"


def test_every_cut_of_the_header_is_an_error() -> None:
    data = images.exif_jpeg(3)
    frame = data.index(b"\xff\xc0")
    for end in range(3, frame + 10):
        with pytest.raises(ImageError):
            read_jpeg_header(data[:end])
    assert read_jpeg_header(data[: frame + 10]) == read_jpeg_header(data)


@settings(max_examples=60, deadline=None)
@given(
    segments=st.lists(
        st.tuples(st.sampled_from([0xE0, 0xE2, 0xED, 0xFE]), st.binary(max_size=300)), max_size=6
    )
)
def test_same_size_as_pillow_behind_any_segments(segments: list[tuple[int, bytes]]) -> None:
    data = images.jpeg(images.picture(9, 14))
    for marker, payload in segments:
        data = images.with_segment(data, marker, payload)
    header = read_jpeg_header(data)
    try:
        size = Image.open(io.BytesIO(data)).size
    except (OSError, struct.error):  # Pillow reads meaning into a damaged APP0 or APP13; we do not
        size = (14, 9)
    assert (header.width, header.height) == size
