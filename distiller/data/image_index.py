"""Where every image of a set of shards lies, in columns: the table all loading works from.

Legend: N = images, in the order of shards (by URI) and of samples in them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shards import storage
from shards.errors import UsageError
from shards.file_info import FileInfo
from shards.index import build_index
from shards.sample import DAMAGE_KINDS, IMAGE_EXTENSIONS, Member, image_member


@dataclass(frozen=True)
class ImageIndex:
    """Places of N images, and of their labels where they have any.

    Attributes:
        shards: the shards, sorted by URI.
        shard_N: (N,) int32 position in `shards`.
        sample_N: (N,) int64 index of the sample in its shard.
        offset_N, size_N: (N,) int64 bytes of the image in the uncompressed tar.
        label_offset_N, label_size_N: (N,) int64 likewise; size -1 = the sample has no label.
        num_samples: samples in the shards, those without a usable image included.
        skipped: samples that are not among the N, by reason (no_image, damaged).
        examples: the first of them of each reason, as text.
        breaks: shards that break off, so that more samples may be missing, each as text.
        fingerprint: sha256 over shard names, keys, offsets and sizes: what the set is, wherever
            its folder lies.
    """

    shards: tuple[FileInfo, ...]
    shard_N: np.ndarray
    sample_N: np.ndarray
    offset_N: np.ndarray
    size_N: np.ndarray
    label_offset_N: np.ndarray
    label_size_N: np.ndarray
    num_samples: int
    skipped: dict[str, int]
    examples: tuple[str, ...]
    breaks: tuple[str, ...]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.shard_N)

    def describe(self, image: int) -> str:
        """Name one image in a message: its shard and the sample's index there."""
        return f"{self.shards[self.shard_N[image]].uri} sample {self.sample_N[image]}"

    def subset(self, images: np.ndarray) -> ImageIndex:
        """The index of some images alone; `images` ascending. The fingerprint stays the whole's."""
        columns = ("shard_N", "sample_N", "offset_N", "size_N", "label_offset_N", "label_size_N")
        return replace(
            self,
            num_samples=len(images),
            skipped={},
            examples=(),
            **{name: getattr(self, name)[images] for name in columns},
        )

    def followed_by(self, other: ImageIndex) -> ImageIndex:
        """The images of both, these first; the fingerprint is that of the pair, in this order."""
        digest = hashlib.sha256(f"{self.fingerprint}\0{other.fingerprint}".encode())
        columns = ("sample_N", "offset_N", "size_N", "label_offset_N", "label_size_N")
        return ImageIndex(
            shards=self.shards + other.shards,
            shard_N=np.concatenate([self.shard_N, other.shard_N + np.int32(len(self.shards))]),
            num_samples=self.num_samples + other.num_samples,
            skipped=dict(Counter(self.skipped) + Counter(other.skipped)),
            examples=self.examples + other.examples,
            breaks=self.breaks + other.breaks,
            fingerprint=digest.hexdigest(),
            **{
                name: np.concatenate([getattr(self, name), getattr(other, name)])
                for name in columns
            },
        )


def build_image_index(
    specs: Sequence[str],
    *,
    image_ext: Sequence[str] | None = None,
    label_ext: str | None = None,
) -> ImageIndex:
    """Walk the shards' headers and note where the images are.

    Args:
        specs: files, folders, globs, brace patterns or URLs.
        image_ext: which members are images, in order of preference; None = the usual ones.
        label_ext: extension of the label member, such as `cls`; None = labels are not needed.

    Raises:
        StorageError, ShardError: a shard is missing or no tar.
        UsageError: no sample of any shard has an image.
    """
    infos = tuple(storage.expand(list(specs)))
    extensions = tuple(image_ext) if image_ext is not None else IMAGE_EXTENSIONS
    digest = hashlib.sha256()
    tables: list[np.ndarray] = []
    skipped: Counter[str] = Counter()
    examples: dict[str, str] = {}
    breaks: list[str] = []
    num_samples = 0
    for position, info in enumerate(infos):
        found = build_index(info.uri)
        num_samples += len(found.entries)
        damage = [problem.detail for problem in found.problems if problem.kind in DAMAGE_KINDS]
        breaks += [f"{info.uri}: {detail}" for detail in damage]
        rows: list[tuple[int, int, int, int, int, int]] = []
        digest.update(f"{storage.name(info.uri)}\0{len(found.entries)}\0".encode())
        for entry in found.entries:
            image = image_member(entry, extensions)
            if entry.index in found.errors or image is None:
                reason = "damaged" if entry.index in found.errors else "no_image"
                skipped[reason] += 1
                detail = found.errors.get(entry.index, "no image")
                examples.setdefault(reason, f"{info.uri} sample {entry.index}: {detail}")
                continue
            label = _label_member(entry.members, label_ext)
            label_place = (label.offset, label.size) if label is not None else (0, -1)
            rows.append((position, entry.index, image.offset, image.size, *label_place))
            digest.update(f"{entry.key}\0{image.offset}\0{image.size}\0".encode())
        # As numbers in columns, shard by shard: Python tuples of a million images are 300 MB.
        tables.append(np.array(rows, dtype=np.int64).reshape(-1, 6))
    table = np.concatenate(tables)
    if not len(table):
        raise UsageError(
            f"{', '.join(specs)}: none of {num_samples} samples has an image "
            f"({', '.join(extensions)}); check data.image_ext"
        )
    return ImageIndex(
        shards=infos,
        shard_N=table[:, 0].astype(np.int32),
        sample_N=table[:, 1],
        offset_N=table[:, 2],
        size_N=table[:, 3],
        label_offset_N=table[:, 4],
        label_size_N=table[:, 5],
        num_samples=num_samples,
        skipped=dict(skipped),
        examples=tuple(examples.values()),
        breaks=tuple(breaks),
        fingerprint=digest.hexdigest(),
    )


def _label_member(members: Sequence[Member], label_ext: str | None) -> Member | None:
    if label_ext is None:
        return None
    return next((member for member in members if member.extension == label_ext), None)
