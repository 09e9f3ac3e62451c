"""What is wrong with shards: a list of problems, never a repair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import xxhash

from shards import storage
from shards.decode import DEFAULT_LIMITS, DecodeLimits
from shards.decode import decode as decode_image
from shards.errors import ImageError, ShardError, StorageError
from shards.reader import open_shard
from shards.sample import IMAGE_EXTENSIONS, Problem, Sample

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class ShardCheck:
    """One shard, read from end to end.

    Attributes:
        num_bytes: of the shard file.
        samples: found samples, damaged ones included.
        images: samples that have an image.
        members: members of all samples.
        xxh3_128: hash of the shard's bytes, hexadecimal; "" if it could not be read.
        problems: in the order in which they lie in the shard.
    """

    uri: str
    num_bytes: int
    samples: int
    images: int
    members: int
    xxh3_128: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class VerifyReport:
    """All shards, in the order of their URIs.

    Attributes:
        shards: one check each.
        problems: of all shards, and those that only show between shards.
        decoded: were images decoded, too?
    """

    shards: tuple[ShardCheck, ...]
    problems: tuple[Problem, ...]
    decoded: bool

    @property
    def samples(self) -> int:
        return sum(check.samples for check in self.shards)

    @property
    def images(self) -> int:
        return sum(check.images for check in self.shards)

    @property
    def num_bytes(self) -> int:
        return sum(check.num_bytes for check in self.shards)

    def problem_counts(self) -> dict[str, int]:
        """Kind of problem -> how often."""
        return dict(sorted(Counter(problem.kind for problem in self.problems).items()))


def verify(
    specs: Sequence[str],
    *,
    decode: bool = False,
    image_ext: Sequence[str] = IMAGE_EXTENSIONS,
    limits: DecodeLimits = DEFAULT_LIMITS,
    threads: int = 2,
    on_shard: Callable[[ShardCheck], None] | None = None,
) -> VerifyReport:
    """Read every byte of every shard and tell what is wrong.

    A shard is read twice, once for its hash and once for its members; remote ones, too.

    Args:
        specs: folders, files, globs, brace patterns, as `shards.storage.expand`.
        decode: decode each image, too, so that damaged ones are problems.
        image_ext: which member of a sample is its image.
        threads: shards that are read at the same time.
        on_shard: called as each shard is done, in the order of the report.

    Raises:
        StorageError, UsageError: specs that name nothing. What cannot be read later is a problem.
    """
    found = storage.expand(specs)

    def check(info: storage.FileInfo) -> ShardCheck:
        return verify_shard(info.uri, decode=decode, image_ext=image_ext, limits=limits)

    checks: list[ShardCheck] = []
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for done in pool.map(check, found):
            checks.append(done)
            if on_shard is not None:
                on_shard(done)
    problems = [problem for done in checks for problem in done.problems]
    problems += _same_shards(checks)
    return VerifyReport(tuple(checks), tuple(problems), decode)


@dataclass
class _Tally:
    samples: int = 0
    images: int = 0
    members: int = 0
    problems: list[Problem] = field(default_factory=list)


def verify_shard(
    uri: str,
    *,
    decode: bool = False,
    image_ext: Sequence[str] = IMAGE_EXTENSIONS,
    limits: DecodeLimits = DEFAULT_LIMITS,
) -> ShardCheck:
    """Check one shard; nothing about it raises."""
    tally = _Tally()
    digest, num_bytes = "", 0
    try:
        digest, num_bytes = _hash(uri)
        with open_shard(uri) as reader:
            for sample in reader.samples():
                _check_sample(uri, sample, tally, image_ext, limits if decode else None)
            tally.problems[:0] = reader.problems
    except ShardError as error:
        tally.problems.append(Problem("not_a_shard", uri, "", str(error)))
    except StorageError as error:
        tally.problems.append(Problem("read_error", uri, "", str(error)))
    return ShardCheck(
        uri=uri,
        num_bytes=num_bytes,
        samples=tally.samples,
        images=tally.images,
        members=tally.members,
        xxh3_128=digest,
        problems=tuple(tally.problems),
    )


def _check_sample(
    uri: str,
    sample: Sample,
    tally: _Tally,
    image_ext: Sequence[str],
    limits: DecodeLimits | None,
) -> None:
    tally.samples += 1
    tally.members += len(sample.entry.members)
    found = sample.image(image_ext)
    if found is None:
        if sample.error is None:
            tally.problems.append(
                Problem(
                    "no_image", uri, sample.entry.key, f"expected one of {', '.join(image_ext)}"
                )
            )
        return
    tally.images += 1
    if limits is None:
        return
    member, data = found
    try:
        decode_image(data, limits=limits)
    except ImageError as error:
        tally.problems.append(Problem(error.status, uri, member.name, str(error)))


def _hash(uri: str) -> tuple[str, int]:
    """(hexadecimal xxh3-128, number of bytes) of a file."""
    hasher = xxhash.xxh3_128()
    num_bytes = 0
    with storage.open_stream(uri) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            hasher.update(chunk)
            num_bytes += len(chunk)
    return hasher.hexdigest(), num_bytes


def _same_shards(checks: Sequence[ShardCheck]) -> list[Problem]:
    """Shards that are copies of one another: their images would count twice."""
    first: dict[str, str] = {}
    problems = []
    for check in checks:
        if not check.xxh3_128 or not check.samples:
            continue
        original = first.setdefault(check.xxh3_128, check.uri)
        if original != check.uri:
            detail = f"the same bytes as {original}"
            problems.append(Problem("duplicate_shard", check.uri, "", detail))
    return problems
