"""Chosen samples into new tars: all members, the same bytes.

Two steps make a global shuffle of a pool that fits no memory. `extract` streams once over a shard
that cannot be read by range (compressed), or of which most is wanted, into a plain spill tar;
`assemble` writes one output shard from samples anywhere, by ranged reads from spills and shards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import xxhash

from shards.atomic import new_file
from shards.errors import ShardError, StorageError, UsageError
from shards.ranges import Piece, read_pieces
from shards.reader import is_compressed, open_shard
from shards.sample import (
    IMAGE_EXTENSIONS,
    Data,
    SampleEntry,
    image_member,
    is_hidden,
    is_safe_name,
    split_name,
)
from shards.tar_file import TarFile

_WINDOW_BYTES = 64 << 20


class Pick(NamedTuple):
    """One sample of an output shard.

    Attributes:
        source: URI of an uncompressed shard or spill.
        entry: where the sample's members lie in it.
        output_key: key to write it under; None keeps its own.
        content_hash: xxh3-128 digest (16 bytes, big endian) that its image must have; None to
            trust the source.
    """

    source: str
    entry: SampleEntry
    output_key: str | None = None
    content_hash: bytes | None = None


def extract(uri: str, indices: Iterable[int], out_uri: str) -> tuple[SampleEntry, ...]:
    """Copy samples of one shard, plain or compressed, into an uncompressed tar, in one pass.

    Args:
        indices: positions of the samples in the shard, in any order; each is copied once.
        out_uri: the tar to write; it appears whole or not at all.

    Returns:
        One entry per sample in the order of `indices` sorted: index and key as in the source,
        offsets in the new tar.

    Raises:
        ShardError: a sample is not there, or is cut or unsafe: the shard is not the one that was
            indexed.
        StorageError: reading or writing failed.
    """
    wanted = sorted(set(indices))
    if wanted and wanted[0] < 0:
        raise ValueError(f"sample {wanted[0]}: expected indices from 0")
    entries: list[SampleEntry] = []
    with new_file(out_uri) as file, open_shard(uri) as reader:
        out = TarFile(file)
        remaining = iter(wanted)
        following = next(remaining, None)
        stop = wanted[-1] + 1 if wanted else 0
        for sample in reader.samples(wanted[0] if wanted else 0, stop):
            if sample.entry.index != following:
                continue
            if sample.error is not None:
                raise _changed(uri, sample.entry, sample.error)
            entry = sample.entry
            entries.append(_write(out, entry.index, entry.key, entry, sample.data))
            following = next(remaining, None)
        if following is not None:
            raise ShardError(
                f"{uri} has no sample {following}: it changed since it was indexed; restore it, "
                "or score the pool into a new run",
                shard=uri,
            )
        out.end()
    return tuple(entries)


def assemble(
    out_uri: str,
    picks: Sequence[Pick],
    *,
    image_ext: Sequence[str] = IMAGE_EXTENSIONS,
    readers: int = 8,
    window_bytes: int = _WINDOW_BYTES,
) -> tuple[SampleEntry, ...]:
    """Write one shard from samples of any uncompressed tars, in the order given.

    Args:
        out_uri: the shard to write; it appears whole or not at all.
        picks: what to write; output keys must differ.
        image_ext: which member of a sample is the image that `content_hash` is about.
        readers: requests in flight at a time, for remote sources.
        window_bytes: about how many bytes of samples are in memory at a time.

    Returns:
        One entry per pick: index and offsets in the new shard.

    Raises:
        ShardError: an image does not have its content hash, or a source is too short: it changed
            since it was scored.
        StorageError: a compressed source; reading or writing failed.
        UsageError: output keys that are unsafe, or occur twice.
    """
    _check(picks)
    entries: list[SampleEntry] = []
    with new_file(out_uri) as file:
        out = TarFile(file)
        for window in _windows(picks, window_bytes):
            pieces = [
                Piece(pick.source, member.offset, member.size)
                for pick in window
                for member in pick.entry.members
            ]
            blocks = iter(read_pieces(pieces, readers=readers))
            for pick in window:
                data = [next(blocks) for _ in pick.entry.members]
                _check_hash(pick, data, image_ext)
                key = pick.entry.key if pick.output_key is None else pick.output_key
                entries.append(_write(out, len(entries), key, pick.entry, data))
        out.end()
    return tuple(entries)


def _write(
    out: TarFile, index: int, key: str, entry: SampleEntry, data: Sequence[Data]
) -> SampleEntry:
    """All members of a sample under `key`; returns where they lie now."""
    members = tuple(
        out.add(key + member.name[len(entry.key) :], content)
        for member, content in zip(entry.members, data, strict=True)
    )
    return SampleEntry(index, key, members)


def _check(picks: Sequence[Pick]) -> None:
    """What can be told before anything is read."""
    taken: set[str] = set()
    for pick in picks:
        key = pick.entry.key if pick.output_key is None else pick.output_key
        if key in taken:
            raise UsageError(f"output key {key!r} twice: two samples would be read as one")
        taken.add(key)
        for member in pick.entry.members:
            if split_name(member.name)[0] != pick.entry.key:
                raise ValueError(f"member {member.name!r} is not one of sample {pick.entry.key!r}")
        if is_hidden(key) or not is_safe_name(f"{key}.x") or split_name(f"{key}.x") != (key, "x"):
            raise UsageError(
                f"output key {key!r}: expected a relative path without dots at its end"
            )
        if is_compressed(pick.source):
            raise StorageError(
                f"{pick.source} is compressed and has no random access: extract from it first"
            )


def _windows(picks: Sequence[Pick], window_bytes: int) -> Iterator[list[Pick]]:
    window: list[Pick] = []
    gathered = 0
    for pick in picks:
        window.append(pick)
        gathered += sum(member.size for member in pick.entry.members)
        if gathered >= window_bytes:
            yield window
            window, gathered = [], 0
    if window:
        yield window


def _check_hash(pick: Pick, data: Sequence[Data], image_ext: Sequence[str]) -> None:
    if pick.content_hash is None:
        return
    image = image_member(pick.entry, image_ext)
    if image is None:
        raise _changed(pick.source, pick.entry, "it has no image")
    found = xxhash.xxh3_128_digest(data[pick.entry.members.index(image)])
    if found != pick.content_hash:
        detail = f"its image hashes to {found.hex()}, expected {pick.content_hash.hex()}"
        raise _changed(pick.source, pick.entry, detail)


def _changed(uri: str, entry: SampleEntry, detail: str) -> ShardError:
    return ShardError(
        f"{uri}: sample {entry.index} ({entry.key!r}) is not what was scored: {detail}. Restore "
        "the shard, or score the pool into a new run",
        shard=uri,
    )
