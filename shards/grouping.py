"""From members to samples: consecutive members of one key, never merged with anything else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class _Open:
    """The sample that is being gathered; `repeated` if its key was that of the sample before."""

    index: int
    key: str
    repeated: bool
    members: list[Member] = field(default_factory=list)
    data: list[Data] = field(default_factory=list)
    unsafe: str | None = None

    def has(self, extension: str) -> bool:
        return extension in [member.extension for member in self.members]

    def closed(self, error: str | None = None) -> Sample:
        entry = SampleEntry(self.index, self.key, tuple(self.members))
        return Sample(entry, tuple(self.data), error or self.unsafe)


def group_samples(
    walked: Iterator[tuple[Member, Data]],
    *,
    shard: str,
    problems: list[Problem],
    first: int = 0,
) -> Iterator[Sample]:
    """Yield the samples of one shard with consecutive indexes from `first`.

    A sample that is open when the shard turns out to be damaged may lack members, so it gets an
    error; a member that is cut itself becomes a sample with an error and without that member.
    Memory: the keys of one shard and their extensions.

    Args:
        walked: members in order, ending normally or with `TarDamage`.
        shard: URI, for messages.
        problems: what is found is appended here, before the sample it is about is yielded.
        first: index of the sample at which the walk begins. What is told about keys then holds
            from there on.

    Raises:
        TarDamage: at offset 0, where there is no tar at all.
    """
    seen: dict[str, frozenset[str]] = {}
    sample: _Open | None = None

    def tell(kind: str, member: str, detail: str) -> None:
        problems.append(Problem(kind, shard, member, detail))

    def close(done: _Open, error: str | None = None) -> Sample:
        extensions = frozenset([member.extension for member in done.members])
        earlier = seen.get(done.key)
        if earlier is not None:
            if not done.repeated and earlier.isdisjoint(extensions):
                tell("split_sample", done.key, f"members of key {done.key!r} lie apart in the tar")
            elif not done.repeated:
                tell("duplicate_key", done.key, f"key {done.key!r} returns later in the shard")
            extensions |= earlier
        seen[done.key] = extensions
        return done.closed(error)

    try:
        for member, content in walked:
            key = split_name(member.name)[0]
            safe = is_safe_name(member.name)
            if safe and is_hidden(key):
                detail = f"member {member.name!r} has no key: its base name starts with a dot"
                tell("ignored_member", member.name, detail)
                continue
            if sample is None:
                sample = _Open(first, key, repeated=False)
            elif key != sample.key or sample.has(member.extension):
                repeated = key == sample.key
                yield close(sample)
                sample = _Open(sample.index + 1, key, repeated)
                if repeated:
                    detail = f"key {key!r} has .{member.extension} twice; kept as two samples"
                    tell("repeated_member", member.name, detail)
            if not safe:
                sample.unsafe = f"unsafe member name {member.name!r}: it could be written elsewhere"
                tell("unsafe_name", member.name, sample.unsafe)
            sample.members.append(member)
            sample.data.append(content)
    except TarDamage as damage:
        if damage.offset == 0:
            raise
        cut_key = None if damage.member is None else split_name(damage.member)[0]
        error = f"{damage.kind.replace('_', ' ')} shard: {damage}"
        tell(damage.kind, damage.member or (sample.key if sample else ""), str(damage))
        if sample is not None and cut_key in (None, sample.key):
            yield close(sample, error)
            return
        if sample is not None:
            yield close(sample)
        if cut_key is not None and not is_hidden(cut_key):
            # Not closed by the rules above: an incomplete sample says nothing about its key.
            index = sample.index + 1 if sample else first
            yield _Open(index, cut_key, repeated=False).closed(error)
        return
    if sample is not None:
        yield close(sample)
    else:
        tell("empty", "", "the shard holds no sample")
