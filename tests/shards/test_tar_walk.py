from __future__ import annotations

import io
import pickle
import struct
import tarfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shards.errors import ShardError
from shards.sample import Member, Problem
from shards.tar_walk import TarDamage, walk, walk_with_data
from tests.support.tars import (
    BLOCK,
    end_of_members,
    header_offsets,
    overwritten,
    pax_member,
    raw_header,
    raw_member,
    tar_bytes,
    tar_with,
    with_checksum,
    without_end_marker,
)

END = bytes(2 * BLOCK)

name_parts = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=30
)
names = st.lists(name_parts, min_size=1, max_size=8).map("/".join)
contents = st.binary(max_size=1500)
members_lists = st.lists(st.tuples(names, contents), max_size=6)


def walked(tar: bytes) -> tuple[list[tuple[Member, bytes]], list[Problem], TarDamage | None]:
    problems: list[Problem] = []
    found: list[tuple[Member, bytes]] = []
    view = memoryview(tar)
    try:
        for member, data in walk_with_data(
            lambda at, length: view[at : at + length], shard="s.tar", problems=problems
        ):
            found.append((member, bytes(data)))
    except TarDamage as damage:
        return found, problems, damage
    return found, problems, None


def reference(tar: bytes) -> list[tuple[str, int, int]]:
    """(name, offset of data, size) of the regular files that `tarfile` finds before it stops."""
    found = []
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), encoding="utf-8") as archive:
            for info in archive:
                if info.isreg():
                    raw = info.name.encode("utf-8", "surrogateescape")
                    name = raw.decode("utf-8", "backslashreplace")
                    found.append((name, info.offset_data, info.size))
    except (tarfile.TarError, ValueError, OSError, EOFError, OverflowError, MemoryError):
        pass  # damaged sizes crash it in many ways; what it found before counts
    return found


def places(found: list[tuple[Member, bytes]]) -> list[tuple[str, int, int]]:
    return [(member.name, member.offset, member.size) for member, _ in found]


@settings(deadline=None)
@given(members_lists, st.sampled_from(["gnu", "pax"]))
@example([("ß" * 60 + ".jpg", b"x")], "gnu")
@example([("d/" * 90 + "a.jpg", b"")], "pax")
def test_finds_what_tarfile_finds(members: list[tuple[str, bytes]], format: str) -> None:
    tar = tar_bytes(members, format=format)
    found, problems, damage = walked(tar)
    assert damage is None
    assert problems == []
    assert places(found) == reference(tar)
    # tarfile cuts trailing slashes of names as the pax standard has it; contents are all there.
    assert [data for _, data in found] == [data for _, data in members]


ustar_names = st.from_regex(r"[a-z0-9]{1,40}(/[a-z0-9.]{1,40}){0,3}", fullmatch=True)


@settings(deadline=None)
@given(st.lists(st.tuples(ustar_names, contents), max_size=6))
def test_finds_what_tarfile_finds_in_ustar(members: list[tuple[str, bytes]]) -> None:
    tar = tar_bytes(members, format="ustar")
    found, _, damage = walked(tar)
    assert damage is None
    assert places(found) == reference(tar)


def small_tar(format: str) -> bytes:
    members = [("a/1.jpg", b"j" * 600), ("a/1.cls", b"7"), ("ä" * 70 + ".png", b"p" * 512)]
    return tar_bytes(
        [*members, ("b.jpg", b"")] if format != "ustar" else members[:2], format=format
    )


@pytest.mark.parametrize("format", ["ustar", "gnu", "pax"])
def test_every_cut_is_told(format: str) -> None:
    tar = small_tar(format)
    whole, _, _ = walked(tar)
    end = end_of_members(tar)
    boundaries = {0} | {m.offset + m.size + -m.size % BLOCK for m, _ in whole}
    for length in range(0, end + BLOCK + 1, 7):
        found, problems, damage = walked(tar[:length])
        complete = [m for m in whole if m[0].offset + m[0].size <= length]
        assert found == complete, length
        if length in boundaries or end < length < end + BLOCK:
            assert damage is None
            assert [p.kind for p in problems] == ["no_end_marker"]
        elif length < end:
            assert damage is not None
            assert damage.kind == "truncated"
            assert damage.shard == "s.tar"


def test_the_cut_member_is_named() -> None:
    tar = tar_bytes([("a.jpg", b"1" * 2000), ("b.jpg", b"2" * 2000)])
    offset = header_offsets(tar)[1]
    _, _, damage = walked(tar[: offset + BLOCK + 1200])
    assert damage is not None
    assert damage.member == "b.jpg"
    assert "1200 of its 2000 bytes" in str(damage)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_damage_never_changes_what_is_found(data: st.DataObject) -> None:
    """Whatever bytes are changed, each member found is one that `tarfile` finds too, in order."""
    format = data.draw(st.sampled_from(["ustar", "gnu", "pax"]))
    tar = bytearray(small_tar(format))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, end_of_members(small_tar(format)) + BLOCK - 1))
        tar[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del tar[data.draw(st.integers(0, len(tar))) :]
    found, _, _ = walked(bytes(tar))
    assert places(found) == reference(bytes(tar))[: len(found)]


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_damage_under_a_right_checksum(data: st.DataObject) -> None:
    """Headers that are wrong but consistent: still never a member that `tarfile` does not see."""
    format = data.draw(st.sampled_from(["ustar", "gnu", "pax"]))
    tar = bytearray(small_tar(format))
    blocks = [at for at in range(0, len(tar), BLOCK) if tar[at + 257 : at + 262] == b"ustar"]
    offset = data.draw(st.sampled_from(blocks))
    # Not the magic (257..264): without it the prefix has no meaning, which tarfile ignores.
    # No space either: inside of a time or owner, which the walk does not use, it goes unseen.
    fields = st.one_of(st.integers(0, 156), st.integers(329, 511))
    for _ in range(data.draw(st.integers(1, 4))):
        tar[offset + data.draw(fields)] = data.draw(
            st.sampled_from(b"\x000178xXLKgSDV25/._-\x80\xff")
        )
    found, _, _ = walked(bytes(with_checksum(tar, offset)))
    assert places(found) == reference(bytes(tar))[: len(found)]


@settings(deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes_end_in_a_shard_error_or_in_nothing(junk: bytes) -> None:
    found, _, damage = walked(junk)
    assert places(found) == reference(junk)[: len(found)]
    if junk.strip(b"\0"):
        assert damage is not None or found or not junk[:BLOCK].strip(b"\0")


def test_a_damaged_header_is_told_with_its_offset() -> None:
    tar = tar_bytes([("a.jpg", b"1"), ("b.jpg", b"2"), ("c.jpg", b"3")])
    offset = header_offsets(tar)[1]
    found, _, damage = walked(overwritten(tar, offset + 3, b"X"))
    assert [m.name for m, _ in found] == ["a.jpg"]
    assert damage is not None
    assert (damage.kind, damage.offset) == ("corrupt", offset)
    assert str(offset) in str(damage)


def test_joined_tars_and_zeroed_headers_are_told() -> None:
    one, two = tar_bytes([("a.jpg", b"1")]), tar_bytes([("b.jpg", b"2")])
    found, problems, damage = walked(one + two)
    assert damage is None
    assert [m.name for m, _ in found] == ["a.jpg"]
    assert [p.kind for p in problems] == ["trailing_data"]
    assert str(len(one)) in problems[0].detail

    both = tar_bytes([("a.jpg", b"1"), ("b.jpg", b"2")])
    offset = header_offsets(both)[1]
    _, problems, _ = walked(overwritten(both, offset, bytes(BLOCK)))
    assert [p.kind for p in problems] == ["trailing_data"]


def test_skips_all_that_is_no_regular_file() -> None:
    infos = []
    for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE,
                 tarfile.CHRTYPE, tarfile.BLKTYPE):  # fmt: skip
        info = tarfile.TarInfo(f"special-{kind!r}")
        info.type = kind
        info.linkname = "t" * 150
        infos.append((info, b""))
    for format in ("gnu", "pax"):
        tar = tar_with([*infos, (tarfile.TarInfo("a.jpg"), b"data")], format=format)
        found, problems, damage = walked(tar)
        assert damage is None
        assert problems == []
        assert [(m.name, d) for m, d in found] == [("a.jpg", b"data")]


def test_directories_of_before_ustar() -> None:
    tar = raw_member(raw_header(b"d/", 0, typeflag=b"\0", magic=bytes(8)), b"")
    tar += raw_member(raw_header(b"d/a.jpg", 3, typeflag=b"\0", magic=bytes(8)), b"abc") + END
    found, _, damage = walked(tar)
    assert damage is None
    assert places(found) == reference(tar) == [("d/a.jpg", 2 * BLOCK, 3)]


def test_global_headers_are_skipped_unless_they_move_data() -> None:
    comment = pax_member([("comment", b"made by a test")], typeflag=b"g")
    tar = comment + tar_bytes([("a.jpg", b"1")])
    assert [m.name for m, _ in walked(tar)[0]] == ["a.jpg"]
    for record in (("path", b"x.jpg"), ("size", b"3")):
        tar = pax_member([record], typeflag=b"g") + tar_bytes([("a.jpg", b"1")])
        damage = walked(tar)[2]
        assert damage is not None
        assert damage.kind == "corrupt"


def test_sizes_in_base_256_and_in_pax() -> None:
    data = b"d" * 700
    size = b"\x80" + struct.pack(">3xQ", 700)
    tar = raw_member(raw_header(b"a.jpg", size), data)
    tar += pax_member([("size", b"700")]) + raw_member(raw_header(b"b.jpg", 0), data) + END
    found, _, damage = walked(tar)
    assert damage is None
    assert [d for _, d in found] == [data, data]
    assert places(found) == reference(tar)


@pytest.mark.parametrize(
    "size",
    [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"-0000000010\0", b"0_1\0", b"00000000089\0", b"0o17\0"],
)
def test_refuses_odd_sizes(size: bytes) -> None:
    damage = walked(raw_member(raw_header(b"a.jpg", size), b"x" * 10) + END)[2]
    assert damage is not None
    assert damage.kind == "corrupt"


@pytest.mark.parametrize(
    "records",
    [
        [("path", b"")],
        [("size", b"-1")],
        [("size", b"1e3")],
        [("size", b"9" * 30)],
        [("size", b"10000000")],
    ],
)
def test_refuses_odd_pax_records(records: list[tuple[str, bytes]]) -> None:
    tar = pax_member(records) + raw_member(raw_header(b"a.jpg", 3), b"abc") + END
    found, _, damage = walked(tar)
    assert found == []
    assert damage is not None


def test_refuses_extended_headers_that_disagree() -> None:
    one = pax_member([("path", b"one.jpg")])
    tar = one + pax_member([("path", b"two.jpg")]) + raw_member(raw_header(b"a.jpg", 0), b"") + END
    damage = walked(tar)[2]
    assert damage is not None
    assert "disagree" in str(damage)
    damage = walked(one + END)[2]
    assert damage is not None
    assert "no member for an extended header" in str(damage)


def test_an_extended_header_is_bounded() -> None:
    tar = raw_header(b"x", 1 << 30, typeflag=b"x") + bytes(4 * BLOCK)
    damage = walked(tar)[2]
    assert damage is not None
    assert damage.kind == "corrupt"


def test_refuses_sparse_members() -> None:
    gnu = raw_member(raw_header(b"a.jpg", 0, typeflag=b"S", magic=b"ustar  \0"), b"") + END
    pax = pax_member([("GNU.sparse.major", b"1")])
    pax += raw_member(raw_header(b"GNUSparseFile.0/a.jpg", 0), b"") + END
    for tar in (gnu, pax):
        damage = walked(tar)[2]
        assert damage is not None
        assert damage.kind == "unsupported_tar"
        assert "--sparse" in str(damage)


def test_names_that_are_not_utf8_are_told_and_fit_arrow() -> None:
    tar = raw_member(raw_header(b"caf\xe9.jpg", 1), b"x") + END
    found, problems, damage = walked(tar)
    assert damage is None
    assert found[0][0].name == "caf\\xe9.jpg"
    assert [p.kind for p in problems] == ["name_encoding"]


def test_a_prefix_continues_the_name_only_under_the_posix_magic() -> None:
    posix = raw_member(raw_header(b"a.jpg", 1, prefix=b"some/dir"), b"x") + END
    assert walked(posix)[0][0][0].name == "some/dir/a.jpg"
    gnu = raw_member(raw_header(b"a.jpg", 1, prefix=b"1234567", magic=b"ustar  \0"), b"x") + END
    assert walked(gnu)[2] is not None


def test_numbers_that_are_not_used_must_still_be_numbers() -> None:
    header = bytearray(raw_header(b"a.jpg", 1))
    header[136:148] = b"\xff" * 12  # one second before 1970
    header[108:116] = b"\x80" + bytes(3) + b"\x7f" * 4  # a large user id
    tar = raw_member(bytes(with_checksum(header, 0)), b"x") + END
    assert places(walked(tar)[0]) == reference(tar) == [("a.jpg", BLOCK, 1)]
    header[100:108] = b"rw-r--r-"
    damage = walked(raw_member(bytes(with_checksum(header, 0)), b"x") + END)[2]
    assert damage is not None
    assert damage.kind == "corrupt"


def test_walk_is_lazy_and_raises_at_the_end() -> None:
    tar = tar_bytes([("a.jpg", b"1" * 900), ("b.jpg", b"2" * 900)])
    members = walk(tar[: header_offsets(tar)[1] + BLOCK + 10], shard="cut.tar")
    assert next(members).name == "a.jpg"
    with pytest.raises(ShardError, match=r"b\.jpg") as caught:
        next(members)
    assert caught.value.shard == "cut.tar"
    assert list(walk(without_end_marker(tar)))[1].name == "b.jpg"


def test_damage_survives_a_process_border() -> None:
    damage = TarDamage("cut", shard="s", kind="truncated", offset=3, member="a.jpg")
    again = pickle.loads(pickle.dumps(damage))
    assert vars(again) == vars(damage)
    assert str(again) == "cut"
