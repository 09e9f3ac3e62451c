"""One header of a tar: its fields, and what pax and GNU headers say about the member after them.

Strict where `tarfile` is lenient: what two readers could understand in two ways is refused.
"""

from __future__ import annotations

from typing import Literal, NamedTuple
from zlib import adler32

BLOCK = 512
MAX_EXTENSION_BYTES = 1 << 20
"""Of one pax or GNU long-name header; more is damage or an attack, not a name."""

DamageKind = Literal["truncated", "corrupt", "unsupported_tar"]

Extended = dict[str, bytes]
"""pax keyword -> value; a GNU long name counts as "path"."""

_MAX_NUMBER = 1 << 62
_OCTAL_BYTES = b"01234567 \0"
_NUMBER_FIELDS = ((100, 108), (108, 116), (116, 124), (136, 148), (329, 337), (337, 345))
_REGULAR = frozenset(b"0\x007")
_WITHOUT_DATA = frozenset(b"123456")  # links, devices, folders, fifos: their size means nothing
_EXTENSIONS = frozenset(b"xXgLK")
_GLOBAL = ord("g")
_LONG_NAME = ord("L")
_LONG_LINK = ord("K")
_SPARSE = ord("S")


class HeaderError(Exception):
    """A header that is none, or that this program does not read; `kind` says which."""

    def __init__(self, found: str, *, kind: DamageKind = "corrupt") -> None:
        super().__init__(found)
        self.kind: DamageKind = kind


class Described(NamedTuple):
    """What a header and the extended headers before it say about a member.

    Attributes:
        raw_name: bytes of its name.
        size: bytes of data that follow the header.
        regular: False for folders, links and all else that is no plain file.
    """

    raw_name: bytes
    size: int
    regular: bool


def check(header: bytes) -> None:
    """Refuse a block that is no header.

    The low half of Adler-32 is 1 + the sum of bytes modulo 65521, at the speed of C; the sum of
    256 bytes is at most 65280, so two halves give the exact checksum.

    Raises:
        HeaderError: wrong checksum, or a mode, owner, time or device that is no number. None of
            these is used, but the checksum misses errors that cancel, and this sees many.
    """
    stored = header[148:156]
    total = (adler32(header[:256]) & 0xFFFF) + (adler32(header[256:]) & 0xFFFF) - 2
    total += 256 - ((adler32(stored) & 0xFFFF) - 1)  # the field itself counts as eight spaces
    if stored != b"%06o\0 " % total:
        digits = stored.partition(b"\0")[0].strip(b" ")
        if not _is_octal(digits) or int(digits, 8) != total:
            raise HeaderError(f"no tar header (found {header[:24]!r}...)")
    if (header[100:148] + header[329:345]).translate(None, _OCTAL_BYTES):
        for start, end in _NUMBER_FIELDS:
            if header[start] != 0xFF:  # negative in base 256: a time before 1970
                _number(header[start:end])


def is_extension(header: bytes) -> bool:
    """True for a header whose data describes other members."""
    return header[156] in _EXTENSIONS


def extension_size(header: bytes) -> int:
    """Bytes of data of an extension header; HeaderError beyond `MAX_EXTENSION_BYTES`."""
    size = _number(header[124:136])
    if size > MAX_EXTENSION_BYTES:
        raise HeaderError(f"an extended header of {size} bytes")
    return size


def describe(header: bytes, extended: Extended) -> Described:
    """Name, size and nature of a member.

    Raises:
        HeaderError: a sparse member, a size that is no number, a name that cannot be trusted.
    """
    kind = header[156]
    size = _number(header[124:136])
    name = _raw_name(header)
    # Before ustar, a folder was a file with a slash at its end.
    old_folder = kind == 0 and name.endswith(b"/")
    if extended:
        if any(keyword.startswith("GNU.sparse") for keyword in extended):
            kind = _SPARSE
        name = extended.get("path", name)
        if "size" in extended:
            size = _decimal(extended["size"])
    if kind == _SPARSE:
        raise HeaderError("a sparse member (make the tar without --sparse)", kind="unsupported_tar")
    if old_folder or kind in _WITHOUT_DATA:
        return Described(name, 0, False)
    return Described(name, size, kind in _REGULAR)


def read_extension(header: bytes, content: bytes, extended: Extended) -> None:
    """Add what the data of an extension header says to `extended`.

    Raises:
        HeaderError: malformed records, or a second word on a name or size.
    """
    kind = header[156]
    if kind == _LONG_LINK:  # the target of a link, and links are skipped
        return
    long_name = content.partition(b"\0")[0]
    found = {"path": long_name} if kind == _LONG_NAME else _pax_records(content)
    if kind == _GLOBAL:  # comments and defaults for all members, of which none may move data
        if {"path", "size"} & found.keys() or any(k.startswith("GNU.sparse") for k in found):
            raise HeaderError("a global header that renames or resizes every member")
        return
    for keyword in ("path", "size"):
        if keyword in found and (keyword in extended or not found[keyword]):
            raise HeaderError(f"extended headers that disagree on the {keyword}")
    extended.update(found)


def decode_name(raw: bytes) -> tuple[str, bool]:
    """(name, was it UTF-8?). Other bytes are shown as \\xNN: names must fit Arrow strings."""
    try:
        return raw.decode(), True
    except UnicodeDecodeError:
        return raw.decode("utf-8", "backslashreplace"), False


def _raw_name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    if header[345]:
        # Only POSIX archives continue names here; old GNU ones keep times in the same bytes.
        if header[257:263] != b"ustar\0":
            raise HeaderError("an incremental GNU or V7 header", kind="unsupported_tar")
        name = header[345:500].partition(b"\0")[0] + b"/" + name
    return name


def _is_octal(digits: bytes) -> bool:
    # int() alone is too generous: it takes signs, underscores and "0o".
    return digits.isdigit() and b"8" not in digits and b"9" not in digits


def _number(field: bytes) -> int:
    """Octal text, or base 256 where the first byte is 0x80."""
    if field[0] == 0x80:
        number = int.from_bytes(field[1:], "big")
        if number > _MAX_NUMBER:
            raise HeaderError(f"a header with the number {number}")
        return number
    digits = field.partition(b"\0")[0].strip(b" ")
    if digits and not _is_octal(digits):
        raise HeaderError(f"a header with {field!r} for a number")
    return int(digits or b"0", 8)


def _decimal(text: bytes) -> int:
    """The size in a pax record."""
    if not text.isdigit() or len(text) > 18:
        raise HeaderError(f"a pax record with a size of {text[:40]!r}")
    return int(text)


def _pax_records(content: bytes) -> Extended:
    """Parse "LENGTH KEYWORD=VALUE\\n" records, LENGTH counting the whole record."""
    records: Extended = {}
    position = 0
    while position < len(content) and content[position]:
        space = content.find(b" ", position, position + 20)
        length = content[position:space] if space > 0 else b""
        if not length.isdigit():
            raise HeaderError("a pax record without a length")
        end = position + int(length)
        keyword, equals, value = content[space + 1 : end - 1].partition(b"=")
        if end > len(content) or end <= space + 1 or content[end - 1 : end] != b"\n" or not equals:
            raise HeaderError("a pax record of the wrong length")
        name = keyword.decode("utf-8", "replace")
        records[name] = value.rstrip(b"/") if name == "path" else value
        position = end
    return records
