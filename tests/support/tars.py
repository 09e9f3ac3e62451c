"""Real tars made in memory: ustar, pax and GNU, written by `tarfile`, then cut and damaged."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

BLOCK = 512
FORMATS = {
    "ustar": tarfile.USTAR_FORMAT,
    "gnu": tarfile.GNU_FORMAT,
    "pax": tarfile.PAX_FORMAT,
}

Members = Iterable[tuple[str, bytes]]


def tar_bytes(members: Members, *, format: str = "ustar") -> bytes:
    """A tar of regular files in the given order, with its end marker."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=FORMATS[format]) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def tar_with(infos: Iterable[tuple[tarfile.TarInfo, bytes]], *, format: str = "pax") -> bytes:
    """A tar of anything `tarfile` can describe: directories, links, devices, pax records."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=FORMATS[format]) as tar:
        for info, data in infos:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def samples_tar(samples: Mapping[str, Mapping[str, bytes]], *, format: str = "ustar") -> bytes:
    """{key: {extension: bytes}} as a WebDataset tar."""
    members = [(f"{key}.{ext}", data) for key, of in samples.items() for ext, data in of.items()]
    return tar_bytes(members, format=format)


def without_end_marker(tar: bytes) -> bytes:
    """The members alone: what a writer that was killed after its last member leaves."""
    return tar[: end_of_members(tar)]


def end_of_members(tar: bytes) -> int:
    """Offset of the end marker."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        members = archive.getmembers()
    last = members[-1]
    return last.offset_data + -(-last.size // BLOCK) * BLOCK


def header_offsets(tar: bytes) -> list[int]:
    """Where the ustar header of each member starts (after its pax or long-name headers)."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return [member.offset_data - BLOCK for member in archive.getmembers()]


def raw_header(
    name: bytes,
    size: int | bytes,
    *,
    typeflag: bytes = b"0",
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
) -> bytes:
    """One header block, byte by byte, with a correct checksum.

    Args:
        name: at most 100 bytes.
        size: a number, or the twelve bytes of the field as they are to stand there.
        typeflag: one byte.
        magic: eight bytes of magic and version.
        prefix: at most 155 bytes.
    """
    field = size if isinstance(size, bytes) else b"%011o\0" % size
    header = bytearray(BLOCK)
    header[0 : len(name)] = name
    header[100:124] = b"0000644\x000000000\x000000000\x00"
    header[124:136] = field.ljust(12, b"\0")
    header[136:148] = b"00000000000\0"
    header[156:157] = typeflag
    header[257:265] = magic
    header[345 : 345 + len(prefix)] = prefix
    return bytes(with_checksum(header, 0))


def raw_member(header: bytes, data: bytes) -> bytes:
    """A header, its data, and the padding."""
    return header + data + bytes(-len(data) % BLOCK)


def pax_member(records: Sequence[tuple[str, bytes]], *, typeflag: bytes = b"x") -> bytes:
    """A pax extended header with the given records."""
    content = b"".join(_pax_record(keyword.encode(), value) for keyword, value in records)
    return raw_member(raw_header(b"pax", len(content), typeflag=typeflag), content)


def _pax_record(keyword: bytes, value: bytes) -> bytes:
    body = b" " + keyword + b"=" + value + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def with_checksum(tar: bytearray, offset: int) -> bytearray:
    """Make the header at `offset` consistent again after its bytes were changed."""
    tar[offset + 148 : offset + 156] = b" " * 8
    total = sum(tar[offset : offset + BLOCK])
    tar[offset + 148 : offset + 156] = b"%06o\0 " % total
    return tar


def overwritten(tar: bytes, offset: int, data: bytes) -> bytes:
    """The same bytes but for `data` at `offset`."""
    return tar[:offset] + data + tar[offset + len(data) :]


def write_tar(path: Path, tar: bytes) -> str:
    """Write the bytes to `path`, compressed if its name ends in gz; returns the path as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(tar, mtime=0) if path.name.endswith("gz") else tar)
    return str(path)
