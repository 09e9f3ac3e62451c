"""The labelled few: images in class folders or labelled shards, with the teacher's view of them.

Labels are optional: the risk needs positives, not classes. Where they are known they tell which
classes have no image at all, and which images the teacher itself gets wrong; such images stay in,
and are told.

Legend: P = images, D = dimensions, C = classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from selector.scores.hashes import content_hash
from shards import storage
from shards.errors import UsageError
from shards.reader import open_shard
from shards.sample import IMAGE_EXTENSIONS
from shards.sources.folder import folder_source

UNKNOWN = -1
"""Label of an image whose class is not known."""


@dataclass(frozen=True)
class LabelledImage:
    """One image as it was given.

    Attributes:
        key: its name.
        data: the encoded image.
        label: what its folder or .cls member says; None without either.
    """

    key: str
    data: bytes
    label: str | None


@dataclass(frozen=True)
class Labelled:
    """Features of the labelled images that could be read.

    Attributes:
        keys: P names.
        vectors_PD: (P, D) float16.
        label_P: (P,) int64, class of the teacher or UNKNOWN.
        predicted_P: (P,) int64, the teacher's class.
        confidence_P: (P,) float32, the teacher's largest probability.
        failed: key, status and reason of images that have no features.
        digest: of the images and their labels, whatever their order and names.
        warnings: what the user should hear.
        used: (P,) int64, which of the images that were given these are.
    """

    keys: list[str]
    vectors_PD: npt.NDArray[np.float16]
    label_P: npt.NDArray[np.int64]
    predicted_P: npt.NDArray[np.int64]
    confidence_P: npt.NDArray[np.float32]
    failed: list[dict[str, str]] = field(default_factory=list)
    digest: str = ""
    warnings: list[str] = field(default_factory=list)
    used: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.keys)


def read_labelled(sources: Sequence[str]) -> Iterator[LabelledImage]:
    """Every image of folders (the first folder of a path is its class) and shards (.cls).

    Raises:
        UsageError: nothing there, or a sample that has no image.
        StorageError, ShardError: a place that cannot be read.
    """
    if not sources:
        raise UsageError("no labelled images given; expected a folder or shards")
    for source in sources:
        if storage.is_local(source) and _is_image_folder(source):
            yield from _from_folder(source)
        else:
            for info in storage.expand([source]):
                yield from _from_shard(info.uri)


def class_numbers(
    labels: Sequence[str | None], *, num_classes: int, class_names: Sequence[str] | None
) -> tuple[npt.NDArray[np.int64], list[str]]:
    """The teacher's class of each label, (P,) int64 with UNKNOWN, and warnings.

    A label is a class name of the teacher, or a class number. Folders of other names count in the
    order of their names if there are as many as classes; else no label is known.
    """
    known = {name: number for number, name in enumerate(class_names or ())}
    known |= {str(number): number for number in range(num_classes) if str(number) not in known}
    found = sorted({label for label in labels if label is not None})
    strange = [label for label in found if label not in known]
    warnings = []
    if strange and len(found) == num_classes:
        known = {label: number for number, label in enumerate(found)}
        warnings.append(
            f"labels such as {strange[0]!r} are no class names of the teacher; the {num_classes} "
            "labels were taken for its classes in the order of their names"
        )
    elif strange:
        warnings.append(
            f"{len(strange)} labels, such as {strange[0]!r}, are neither class names nor class "
            "numbers of the teacher; their images count as positives of no known class"
        )
    numbers = [UNKNOWN if label is None else known.get(label, UNKNOWN) for label in labels]
    return np.array(numbers, np.int64), warnings


def digest_of(images: Sequence[tuple[bytes, int]]) -> str:
    """SHA-256 (hex) of (content hash, class) pairs in any order."""
    digest = hashlib.sha256()
    for hashed, label in sorted(images):
        digest.update(hashed + label.to_bytes(4, "big", signed=True))
    return digest.hexdigest()


def image_hash(image: LabelledImage) -> bytes:
    """Hash of the image's bytes, the same as in the scores table."""
    return content_hash(image.data)


def split_held_out(
    label_P: npt.NDArray[np.int64], *, share: float, seed: int
) -> npt.NDArray[np.bool_]:
    """(P,) which images are held out: a share of every class, rounded, drawn by the seed.

    At least one image is held out and one is not, if there are two.
    """
    rng = np.random.default_rng([seed, 5])
    held = np.zeros(len(label_P), bool)
    for label in np.unique(label_P):
        members = rng.permutation(np.flatnonzero(label_P == label))
        held[members[: round(share * len(members))]] = True
    if not held.any():
        held[rng.integers(len(held))] = True
    if held.all() and len(held) > 1:
        held[rng.integers(len(held))] = False
    return held


def coverage(labelled: Labelled, *, num_classes: int) -> dict[str, Any]:
    """Images per class, classes without any, and what the teacher gets wrong.

    Returns:
        per_class: counts (C,) or None where no label is known; classes_without: their numbers;
        misclassified: one dict per image; unlabelled: images whose class is not known.
    """
    known = labelled.label_P >= 0
    counts = np.bincount(labelled.label_P[known], minlength=num_classes)
    wrong = np.flatnonzero(known & (labelled.label_P != labelled.predicted_P))
    return {
        "per_class": counts.tolist() if known.any() else None,
        "classes_without": np.flatnonzero(counts == 0).tolist() if known.any() else [],
        "misclassified": [
            {
                "key": labelled.keys[row],
                "label": int(labelled.label_P[row]),
                "teacher": int(labelled.predicted_P[row]),
                "confidence": round(float(labelled.confidence_P[row]), 4),
            }
            for row in wrong.tolist()
        ],
        "unlabelled": int((~known).sum()),
    }


def _is_image_folder(source: str) -> bool:
    return storage.is_dir(source) and not any(
        info.uri.endswith(storage.SHARD_SUFFIXES) for info in storage.list_files(source)
    )


def _from_folder(root: str) -> Iterator[LabelledImage]:
    source = folder_source(root)
    for key, members in source.records:
        label = members.get("cls")
        name = None if label is None else source.classes[int(bytes(label))]
        data = next(members[ext] for ext in IMAGE_EXTENSIONS if ext in members)
        yield LabelledImage(key, bytes(data), name)


def _from_shard(uri: str) -> Iterator[LabelledImage]:
    with open_shard(uri) as shard:
        for sample in shard.samples():
            image = sample.image()
            where = f"{storage.name(uri)}, sample {sample.entry.key}"
            if image is None:
                raise UsageError(
                    f"{where}: no image; expected one of {', '.join(IMAGE_EXTENSIONS)}"
                )
            label = None
            for member, data in zip(sample.entry.members, sample.data, strict=True):
                if member.extension == "cls":
                    label = bytes(data).decode("utf-8", "replace").strip()
            yield LabelledImage(sample.entry.key, bytes(image[1]), label)
