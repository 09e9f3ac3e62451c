"""What a listing tells about a file, without reading it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FileInfo:
    """A file in a listing.

    Attributes:
        uri: absolute path or remote URI.
        num_bytes: size, -1 when the place does not tell.
        etag: changes when the content does: the storage's own tag, else "<size>-<mtime in ns>".
    """

    uri: str
    num_bytes: int
    etag: str
