"""One shard written anew with its images resized and everything else kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shards import storage
from shards.atomic import new_file
from shards.distinct_keys import DistinctKeys
from shards.errors import ImageError, ShardError
from shards.file_info import FileInfo
from shards.reader import open_shard
from shards.resize_image import Resizing, resize_image
from shards.sample import IMAGE_EXTENSIONS, Data, Member, Problem, Sample
from shards.tar_file import TarFile

_SAME_KIND = {"jpg": ("jpg", "jpeg"), "png": ("png",)}


@dataclass(frozen=True)
class ResizedShard:
    """What became of one shard.

    Attributes:
        source: URI of the input.
        etag: of the input, as it was read.
        shard: URI of the output, "" when no sample of the input could be kept.
        samples: in the output.
        unchanged: of these, images that had the wanted size and kept their bytes.
        num_bytes_in, num_bytes_out: of the two files.
        problems: what was left out, with the reason, and what is odd about the input.
    """

    source: str
    etag: str
    shard: str
    samples: int
    unchanged: int
    num_bytes_in: int
    num_bytes_out: int
    problems: tuple[Problem, ...]


class _LeftOut(Exception):
    """A sample that is not written, and why."""

    def __init__(self, kind: str, member: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.member = member


def resize_shard(
    source: FileInfo,
    out_uri: str,
    how: Resizing,
    *,
    image_ext: Sequence[str] = IMAGE_EXTENSIONS,
) -> ResizedShard:
    """Write one shard anew; see `shards.resize.resize_pool`.

    A sample is left out, and told, when its image cannot be decoded or is missing. A sample whose
    neighbours were left out may now follow one of its own key and gets a number behind it.

    Raises:
        StorageError: reading or writing failed; nothing is left under `out_uri`.
    """
    problems: list[Problem] = []
    samples = unchanged = num_bytes = 0
    keys = DistinctKeys()
    try:
        with open_shard(source.uri) as reader, new_file(out_uri) as file:
            out = TarFile(file)
            for sample in reader.samples():
                entry = sample.entry
                try:
                    image, smaller = _resized(sample, how, image_ext)
                    members = _members(sample, image, smaller, how)
                except _LeftOut as reason:
                    detail = f"left out: {reason}"
                    problems.append(Problem(reason.kind, source.uri, reason.member, detail))
                    continue
                key = keys.next(entry.key)
                if key != entry.key:
                    detail = f"written as {key!r}"
                    problems.append(Problem("renamed_key", source.uri, entry.key, detail))
                for behind_key, data in members:
                    out.add(key + behind_key, data)
                samples += 1
                unchanged += smaller is None
            out.end()
            num_bytes = out.num_bytes
            problems[:0] = reader.problems
    except ShardError as error:
        problems.append(Problem("unreadable_shard", source.uri, "", str(error)))
    if samples == 0:  # a tar without samples would be one more problem for every reader
        storage.remove(out_uri)
    return ResizedShard(
        source=source.uri,
        etag=source.etag,
        shard=out_uri if samples else "",
        samples=samples,
        unchanged=unchanged,
        num_bytes_in=source.num_bytes,
        num_bytes_out=num_bytes if samples else 0,
        problems=tuple(problems),
    )


def _resized(
    sample: Sample, how: Resizing, image_ext: Sequence[str]
) -> tuple[Member, bytes | None]:
    """The image member, and its new content or None where it stays as it is."""
    if sample.error is not None:
        raise _LeftOut("left_out", sample.entry.key, sample.error)
    found = sample.image(image_ext)
    if found is None:
        raise _LeftOut("no_image", sample.entry.key, f"it has none of {', '.join(image_ext)}")
    image, data = found
    try:
        return image, resize_image(data, how)
    except ImageError as error:
        raise _LeftOut(error.status, image.name, str(error)) from error


def _members(
    sample: Sample, image: Member, smaller: bytes | None, how: Resizing
) -> list[tuple[str, Data]]:
    """What follows the key in each member's name, and its content."""
    entry = sample.entry
    members: list[tuple[str, Data]] = []
    for member, content in zip(entry.members, sample.data, strict=True):
        behind_key = member.name[len(entry.key) :]
        if member is not image or smaller is None:
            members.append((behind_key, content))
        elif member.extension in _SAME_KIND[how.extension]:
            members.append((behind_key, smaller))
        else:
            members.append((f".{how.extension}", smaller))
    endings = [behind_key.lower() for behind_key, _ in members]
    if len(set(endings)) < len(endings):
        detail = f"it has a .{how.extension} beside its image {image.name!r}"
        raise _LeftOut("name_taken", entry.key, detail)
    return members
