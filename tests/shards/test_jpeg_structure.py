from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shards.decode import decode
from shards.jpeg_structure import plain_baseline
from tests.support import images

PLAIN = images.jpeg(images.picture(100, 180))


def with_restarts(rows: int = 1) -> bytes:
    """A JPEG with a restart marker behind each row of coded units."""
    file = io.BytesIO()
    Image.fromarray(images.picture(200, 90)).save(file, "JPEG", restart_marker_rows=rows)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        *(images.jpeg(subsampling=one) for one in ("444", "422", "420", "440")),
        images.grey_jpeg(),
        with_restarts(),
        images.exif_jpeg(6),
        images.with_segment(PLAIN, 0xFE, b"a comment"),
    ],
)
def test_ordinary_files_are_told_with_their_header(data: bytes) -> None:
    header = plain_baseline(memoryview(data))
    assert header is not None
    stored = decode(data, orientation="stored")
    assert (header.height, header.width) == stored.shape[:2]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        images.TEXT,
        images.png(),
        images.jpeg(progressive=True),
        images.cmyk_jpeg(),
        images.rgb_jpeg(),
        images.jpeg(subsampling="411"),
        PLAIN + b"\0",
        PLAIN[:-2],
        PLAIN[:-1] + b"\xd8",
        PLAIN[: len(PLAIN) // 2],
        PLAIN.replace(b"\xff\xda", b"\xff\xdb", 1),
        with_restarts().replace(b"\xff\xd3", b"\xff\xd4", 1),
        with_restarts().replace(b"\xff\xd3", b"\0\0", 1),
        images.claiming_size(with_restarts(), 400, 90),
    ],
)
def test_everything_else_is_left_to_others(data: bytes) -> None:
    assert plain_baseline(data) is None


@given(st.integers(3, len(PLAIN) - 1))
def test_what_is_cut_off_is_never_plain(length: int) -> None:
    assert plain_baseline(PLAIN[:length]) is None


@given(st.integers(0, len(PLAIN) - 1), st.binary(min_size=1, max_size=40))
def test_hostile_bytes_never_crash_it(at: int, junk: bytes) -> None:
    header = plain_baseline(PLAIN[:at] + junk + PLAIN[at + len(junk) :])
    assert header is None or header.components in (1, 3)
