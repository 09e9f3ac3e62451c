from __future__ import annotations

import struct
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.tar_header import HeaderError, check, decode_name, describe, read_extension
from tests.support.tars import pax_member, raw_header

names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=100)


@st.composite
def headers(draw: st.DrawFn) -> tuple[bytes, tarfile.TarInfo]:
    info = tarfile.TarInfo(draw(names.filter(lambda name: not name.endswith("/"))))
    info.size = draw(st.integers(0, 2**60))
    info.mtime = draw(st.integers(-(2**40), 2**40))
    info.mode = draw(st.integers(0, 0o7777))
    info.uid = draw(st.integers(0, 2**40))
    info.uname = draw(st.text("abc", max_size=20))
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")[-512:], info


@settings(deadline=None)
@given(headers())
def test_what_tarfile_writes_is_understood(made: tuple[bytes, tarfile.TarInfo]) -> None:
    header, info = made
    check(header)
    assert describe(header, {}) == (info.name.encode(), info.size, True)


@settings(deadline=None, max_examples=50)
@given(headers(), st.integers(0, 511), st.integers(1, 255))
def test_one_changed_byte_is_noticed(
    made: tuple[bytes, tarfile.TarInfo], position: int, difference: int
) -> None:
    changed = bytearray(made[0])
    changed[position] ^= difference
    if position not in (154, 155):  # what ends the stored checksum, in any way
        with pytest.raises(HeaderError):
            check(bytes(changed))


@given(st.integers(0, 2**62))
def test_sizes_in_base_256(size: int) -> None:
    header = raw_header(b"a", b"\x80" + struct.pack(">3xQ", size))
    assert describe(header, {}).size == size


def test_later_words_do_not_override_earlier_ones() -> None:
    extended: dict[str, bytes] = {}
    first, second = (pax_member([("path", name)]) for name in (b"one.jpg", b"two.jpg"))
    size = int(first[124:135], 8)
    read_extension(first[:512], first[512 : 512 + size], extended)
    assert describe(raw_header(b"a.jpg", 3), extended) == (b"one.jpg", 3, True)
    with pytest.raises(HeaderError, match="disagree"):
        read_extension(second[:512], second[512 : 512 + size], extended)


@given(st.binary(max_size=200))
def test_any_pax_bytes_are_records_or_refused(content: bytes) -> None:
    extended: dict[str, bytes] = {}
    try:
        read_extension(raw_header(b"pax", len(content), typeflag=b"x"), content, extended)
    except HeaderError:
        return
    for keyword, value in extended.items():
        assert value.rstrip(b"/") in content
        assert keyword.encode("utf-8", "ignore").strip(b"\xef\xbf\xbd") in content or "\ufffd" in (
            keyword
        )


@given(st.binary(max_size=60))
def test_any_name_can_be_shown(raw: bytes) -> None:
    name, is_utf8 = decode_name(raw)
    assert name.encode("utf-8") == raw if is_utf8 else "\\x" in name
