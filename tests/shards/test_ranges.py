from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import ShardError, StorageError
from shards.ranges import Piece, coalesce, read_pieces

PIECES = st.lists(
    st.builds(Piece, st.sampled_from(["a", "b"]), st.integers(0, 50_000), st.integers(0, 5_000)),
    max_size=30,
)


@given(PIECES)
def test_every_piece_lies_in_one_read(pieces: list[Piece]) -> None:
    reads = coalesce(pieces)
    assert sorted(at for _, positions in reads for at in positions) == list(range(len(pieces)))
    for read, positions in reads:
        for at in positions:
            piece = pieces[at]
            assert piece.uri == read.uri
            assert read.offset <= piece.offset
            assert piece.offset + piece.size <= read.offset + read.size


@given(PIECES)
def test_little_is_read_in_vain(pieces: list[Piece]) -> None:
    wanted = sum(piece.size for piece in pieces)
    read = sum(read.size for read, _ in coalesce(pieces))
    assert read <= 2 * wanted + 2048 * len(pieces)


def test_neighbours_share_a_read_and_distant_ones_do_not() -> None:
    pieces = [Piece("a", 90_000, 10), Piece("a", 0, 100), Piece("a", 1_100, 50), Piece("b", 0, 5)]
    assert coalesce(pieces) == [
        (Piece("a", 0, 1_150), [1, 2]),
        (Piece("a", 90_000, 10), [0]),
        (Piece("b", 0, 5), [3]),
    ]


def test_reads_do_not_grow_without_end() -> None:
    big = 10 << 20
    assert len(coalesce([Piece("a", n * big, big) for n in range(4)])) == 4


def test_bytes_come_in_the_order_asked(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "b").write_bytes(content[::-1])
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    pieces = [Piece(a, 5_000, 7), Piece(b, 3, 4), Piece(a, 0, 0), Piece(a, 4_990, 100)]
    found = [bytes(block) for block in read_pieces(pieces)]
    assert found == [content[5_000:5_007], content[::-1][3:7], b"", content[4_990:5_090]]
    assert read_pieces([]) == []


def test_a_file_that_ends_early(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100)
    with pytest.raises(ShardError, match="has 50 of 60 bytes at 50"):
        read_pieces([Piece(str(tmp_path / "a"), 50, 60)])
    with pytest.raises(StorageError, match="does not exist"):
        read_pieces([Piece(str(tmp_path / "none"), 0, 1)])
