"""What a sample is: the consecutive members of a tar that share a key, and what can be wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif", "ppm")
"""Which member of a sample is its image: the first of these that the sample has."""

DAMAGE_KINDS = frozenset(
    {"truncated", "corrupt", "unsupported_tar", "trailing_data", "no_end_marker"}
)
"""Kinds of `Problem` after which samples of the shard may be missing; the others lose nothing.

A tar without its end marker is one: it may have been cut right behind a member."""

Data = bytes | memoryview
"""Bytes of a member: a view into the mapped file (local .tar) or a copy (anything streamed)."""

_DRIVE = re.compile(r"[A-Za-z]:")
_SUSPICIOUS = re.compile(r"\.\.|[\\\0:]")


@dataclass(frozen=True, slots=True)
class Member:
    """One regular file in a shard.

    Attributes:
        name: full member name as stored, folders included.
        extension: what follows the first dot of the base name, lowercased; "" without a dot.
        offset: first byte of the DATA in the (uncompressed) tar stream.
        size: bytes of data.
    """

    name: str
    extension: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class SampleEntry:
    """Where the members of one sample lie.

    Attributes:
        index: position of the sample in its shard, from 0.
        key: common name of the members up to the first dot of the base name, folder included.
        members: in the order of the tar; empty when truncation left no complete member.
    """

    index: int
    key: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample with its bytes.

    Attributes:
        entry: key, index and members.
        data: bytes of each member, aligned with `entry.members`. Views of a local shard stay
            valid as long as they are referenced, also after the reader is closed.
        error: None, or why this sample must be neither selected nor exported: it was cut by a
            truncated or damaged shard, or has an unsafe member name.
    """

    entry: SampleEntry
    data: tuple[Data, ...]
    error: str | None = None

    def image(self, image_ext: Sequence[str] = IMAGE_EXTENSIONS) -> tuple[Member, Data] | None:
        """The image member and its bytes, or None when the sample has no image."""
        member = image_member(self.entry, image_ext)
        if member is None:
            return None
        return member, self.data[self.entry.members.index(member)]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to tell about a shard; the samples around it are never merged or repaired.

    Attributes:
        kind: truncated | corrupt | unsupported_tar | trailing_data | no_end_marker (see
            `DAMAGE_KINDS`), empty | duplicate_key | split_sample | repeated_member |
            unsafe_name | name_encoding | ignored_member.
        shard: URI of the shard.
        member: name of the member or key of the sample, "" when the shard as a whole is meant.
        detail: one sentence for a human, with the byte offset where there is one.
    """

    kind: str
    shard: str
    member: str
    detail: str


def split_name(member_name: str) -> tuple[str, str]:
    """Split a member name into (key, extension) at the first dot of its base name.

    >>> split_name("train/cat.0001.seg.PNG")
    ('train/cat', '0001.seg.png')
    """
    dot = member_name.find(".", member_name.rfind("/") + 1)
    if dot < 0:
        return member_name, ""
    return member_name[:dot], member_name[dot + 1 :].lower()


def is_hidden(key: str) -> bool:
    """True for keys with an empty base name (".DS_Store", "._cat.jpg"): no sample data."""
    return key == "" or key.endswith("/")


def is_safe_name(name: str) -> bool:
    """True if extracting `name` below a folder can only write below that folder.

    Refused: empty, absolute, ending in a slash, `..` as a component (with either kind of slash),
    NUL, and Windows drive or UNC prefixes.
    """
    if not name or name[0] in "/\\" or name[-1] == "/":
        return False
    if not _SUSPICIOUS.search(name):
        return True
    if "\0" in name or _DRIVE.match(name):
        return False
    return ".." not in re.split(r"[/\\]", name)


def image_member(entry: SampleEntry, image_ext: Sequence[str] = IMAGE_EXTENSIONS) -> Member | None:
    """The member whose extension comes first in `image_ext`, or None."""
    extensions = [member.extension for member in entry.members]
    for wanted in image_ext:
        if wanted in extensions:
            return entry.members[extensions.index(wanted)]
    return None
