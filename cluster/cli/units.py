"""Amounts for eyes: bytes in steps of a thousand, times as h:mm:ss."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """`h:mm:ss`, or `m:ss` under an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def byte_text(count: float) -> str:
    """`512 B`, `1.4 MB`, `2.0 TB`: decimal steps, as disks and networks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def plural(count: int, noun: str) -> str:
    """`1 shard`, `3 shards`, `12,000 shards`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
