"""Many small pieces of many files, read with as few requests as pay."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from shards import storage
from shards.errors import ShardError

_HEADER_GAP = 2048
"""Between two members of one sample lie padding and at most a pax and a plain header."""

_MAX_READ = 16 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """`size` bytes at `offset` of a file."""

    uri: str
    offset: int
    size: int


def read_pieces(pieces: Sequence[Piece], *, readers: int = 8) -> list[memoryview]:
    """The bytes of each piece, in the order given; all of them are in memory at once.

    Args:
        readers: requests in flight at a time, for remote files.

    Raises:
        ShardError: a file ends before a piece does.
        StorageError: a file cannot be read.
    """
    reads = coalesce(pieces)
    remote = any(not storage.is_local(read.uri) for read, _ in reads)
    if remote and len(reads) > 1:
        with ThreadPoolExecutor(readers) as pool:
            blocks = list(pool.map(_read, (read for read, _ in reads)))
    else:
        blocks = [_read(read) for read, _ in reads]
    found = [memoryview(b"")] * len(pieces)
    for block, (read, positions) in zip(blocks, reads, strict=True):
        for position in positions:
            piece = pieces[position]
            start = piece.offset - read.offset
            found[position] = block[start : start + piece.size]
    return found


def coalesce(pieces: Sequence[Piece]) -> list[tuple[Piece, list[int]]]:
    """Reads that cover all pieces, each with the positions of the pieces in it.

    Neighbours share a read when the gap between them is no more than a tar header, or than what
    is read already: at most about half of the bytes read are thrown away.
    """
    order = sorted(range(len(pieces)), key=lambda at: (pieces[at].uri, pieces[at].offset))
    reads: list[tuple[Piece, list[int]]] = []
    for position in order:
        piece = pieces[position]
        end = piece.offset + piece.size
        if reads:
            last, positions = reads[-1]
            gap = piece.offset - (last.offset + last.size)
            length = max(last.size, end - last.offset)
            if (
                last.uri == piece.uri
                and gap <= max(_HEADER_GAP, piece.size)
                and length <= _MAX_READ
            ):
                positions.append(position)
                reads[-1] = (Piece(last.uri, last.offset, length), positions)
                continue
        reads.append((piece, [position]))
    return reads


def _read(piece: Piece) -> memoryview:
    data = storage.read_range(piece.uri, piece.offset, piece.size)
    if len(data) != piece.size:
        raise ShardError(
            f"{piece.uri} has {len(data)} of {piece.size} bytes at {piece.offset}: it is shorter "
            "than when it was indexed; restore it, or score the pool into a new run",
            shard=piece.uri,
        )
    return memoryview(data)
