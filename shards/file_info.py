"""What a listing tells about a file, without reading it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
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

    @property
    def modified_s(self) -> float | None:
        """When it was written, in seconds since 1970; None where the etag does not tell.

        Local files and object stores have etags of the form "<size>-<mtime in ns>".
        """
        size, _, mtime_ns = self.etag.rpartition("-")
        told = size == str(self.num_bytes) and mtime_ns.isdigit() and int(mtime_ns) > 0
        return int(mtime_ns) / 1e9 if told else None
