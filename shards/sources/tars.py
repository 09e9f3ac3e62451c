"""Samples of other shards: all members, the same bytes, to be cut into shards anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shards import storage
from shards.distinct_keys import DistinctKeys
from shards.errors import ShardError
from shards.file_info import FileInfo
from shards.reader import open_shard
from shards.sample import Data, Problem, Sample
from shards.sources.source import Record, Source


def tars_source(specs: Sequence[str]) -> Source:
    """Every sound sample of the shards, in the order of their URIs and in them.

    Problems of the shards are passed on. A sample that is cut or has an unsafe name is left out;
    one that has the key of the sample just before gets a number behind its key, because the two
    would be read as one.

    Args:
        specs: folders, files, globs, brace patterns, as `shards.storage.expand`.

    Raises:
        StorageError, UsageError: specs that name nothing.
    """
    shards = storage.expand(specs)
    problems: list[Problem] = []
    return Source(
        identity={"kind": "tars", "shards": [[shard.uri, shard.etag] for shard in shards]},
        records=_records(shards, problems),
        problems=problems,
    )


def _records(shards: list[FileInfo], problems: list[Problem]) -> Iterator[Record]:
    keys = DistinctKeys()
    for sample, uri in _samples(shards, problems):
        entry = sample.entry
        key = keys.next(entry.key)
        if key != entry.key:
            problems.append(Problem("renamed_key", uri, entry.key, f"written as {key!r}"))
        members: dict[str, Data] = {}
        for member, data in zip(entry.members, sample.data, strict=True):
            members[member.name[len(entry.key) + 1 :]] = data
        yield key, members


def _samples(shards: list[FileInfo], problems: list[Problem]) -> Iterator[tuple[Sample, str]]:
    """Samples that can be written, each with its shard."""
    for shard in shards:
        try:
            with open_shard(shard.uri) as reader:
                for sample in reader.samples():
                    error = sample.error or _unwritable(sample)
                    if error is None:
                        yield sample, shard.uri
                    else:
                        problems.append(Problem("left_out", shard.uri, sample.entry.key, error))
                problems.extend(reader.problems)
        except ShardError as error:
            problems.append(Problem("unreadable_shard", shard.uri, "", str(error)))


def _unwritable(sample: Sample) -> str | None:
    bare = next((m.name for m in sample.entry.members if not m.extension), None)
    return None if bare is None else f"member {bare!r} has no extension"
