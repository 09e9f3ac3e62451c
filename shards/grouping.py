"""From members to samples: consecutive members of one key, never merged with anything else."""

from __future__ import annotations

from collections.abc import Iterator

from shards.sample import (
    Data,
    Member,
    Problem,
    Sample,
    SampleEntry,
    is_hidden,
    is_safe_name,
    split_name,
)
from shards.tar_walk import TarDamage


def group_samples(
    walked: Iterator[tuple[Member, Data]], *, shard: str, problems: list[Problem]
) -> Iterator[Sample]:
    """Yield the samples of one shard with consecutive indexes from 0.

    A sample that is open when the shard turns out to be damaged may lack members, so it gets an
    error; a member that is cut itself becomes a sample with an error and without that member.
    Memory: the keys of one shard and their extensions.

    Args:
        walked: members in order, ending normally or with `TarDamage`.
        shard: URI, for messages.
        problems: what is found is appended here, before the sample it is about is yielded.

    Raises:
        TarDamage: at offset 0, where there is no tar at all.
    """
    seen: dict[str, tuple[str, ...]] = {}
    index = 0
    key: str | None = None
    members: list[Member] = []
    data: list[Data] = []
    unsafe: str | None = None
    repeated = False

    def close(error: str | None) -> Sample:
        assert key is not None
        extensions = tuple(member.extension for member in members)
        earlier = seen.get(key)
        if earlier is None:
            seen[key] = extensions
        else:
            if not repeated:
                problems.append(_returning_key(shard, key, earlier, extensions))
            seen[key] = earlier + extensions
        entry = SampleEntry(index, key, tuple(members))
        return Sample(entry, tuple(data), error or unsafe)

    try:
        for member, content in walked:
            member_key = split_name(member.name)[0]
            safe = is_safe_name(member.name)
            if safe and is_hidden(member_key):
                detail = f"member {member.name!r} has no key (its base name starts with a dot)"
                problems.append(Problem("ignored_member", shard, member.name, detail))
                continue
            again = False
            if member_key == key:
                again = member.extension in [other.extension for other in members]
            if again or member_key != key:
                if key is not None:
                    yield close(None)
                    index += 1
                key, members, data, unsafe, repeated = member_key, [], [], None, again
                if again:
                    detail = f"key {key!r} has .{member.extension} twice; kept as two samples"
                    problems.append(Problem("repeated_member", shard, member.name, detail))
            if not safe:
                unsafe = f"unsafe member name {member.name!r}: it could be written elsewhere"
                problems.append(Problem("unsafe_name", shard, member.name, unsafe))
            members.append(member)
            data.append(content)
    except TarDamage as damage:
        if damage.offset == 0:
            raise
        problems.append(Problem(damage.kind, shard, damage.member or key or "", str(damage)))
        error = f"{damage.kind} shard: {damage}"
        cut_key = None if damage.member is None else split_name(damage.member)[0]
        if key is not None:
            same_sample = cut_key is None or cut_key == key
            yield close(error if same_sample else None)
            index += 1
            if same_sample:
                return
        if cut_key is not None and not is_hidden(cut_key):
            key, members, data, unsafe, repeated = cut_key, [], [], None, True
            yield close(error)
        return
    if key is not None:
        yield close(None)
    else:
        problems.append(Problem("empty", shard, "", "the shard holds no sample"))


def _returning_key(
    shard: str, key: str, earlier: tuple[str, ...], extensions: tuple[str, ...]
) -> Problem:
    if set(earlier).isdisjoint(extensions):
        detail = f"members of key {key!r} lie apart in the tar; kept as separate samples"
        return Problem("split_sample", shard, key, detail)
    detail = f"key {key!r} returns later in the shard; kept as separate samples"
    return Problem("duplicate_key", shard, key, detail)
