"""A tar being written into an open file, which knows where each member's data lies."""

from __future__ import annotations

from typing import BinaryIO

from shards.sample import Data, Member, split_name
from shards.writer import END_OF_ARCHIVE, member_header, padding


class TarFile:
    """Appends members by their full names; same members, same bytes.

    Attributes:
        num_bytes: written so far.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.num_bytes = 0
        self._file = file

    def add(self, name: str, data: Data) -> Member:
        """Append a regular file; returns where its data lies."""
        header = member_header(name, len(data))
        filling = padding(len(data))
        self._file.write(header)
        self._file.write(data)
        self._file.write(filling)
        start = self.num_bytes + len(header)
        self.num_bytes = start + len(data) + len(filling)
        return Member(name, split_name(name)[1], start, len(data))

    def end(self) -> None:
        """Write the end marker; nothing may follow."""
        self._file.write(END_OF_ARCHIVE)
        self.num_bytes += len(END_OF_ARCHIVE)
