"""The few labelled images of a compression, as shards whose labels are the teacher's classes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from cluster.verbs.build import source_kind
from distiller.data.image_index import build_image_index
from distiller.data.labels import read_labels
from shards import atomic
from shards.build import build
from shards.errors import UsageError
from shards.sources.folder import folder_source
from shards.sources.source import LABEL_EXTENSION, Record, label_member


def labelled_shards(
    labelled: str, *, out: str, num_classes: int, class_names: Sequence[str] | None
) -> str:
    """Where the labelled shards are: `labelled` itself, or `out`, built from its class folders.

    Args:
        labelled: a folder of class folders, or shards with .cls members.
        out: local folder to build into; one that was built from the same files is kept.
        num_classes: of the teacher.
        class_names: of the teacher, if known.

    Raises:
        UsageError: a folder or label that is no class of the teacher; no class folders; a sample
            without a label; the images are others than those that `out` was built from.
        StorageError: a file cannot be read or written.
    """
    if source_kind([labelled]) == "tars":
        _check_labels(labelled, num_classes=num_classes, class_names=class_names)
        return labelled
    source = folder_source(labelled, class_folders="yes")
    label_of = {
        name: _label(name, num_classes=num_classes, class_names=class_names, where=labelled)
        for name in source.classes
    }
    digest = _digest(labelled, label_of)
    marker = Path(out, "labelled.json")
    if marker.exists():
        if json.loads(marker.read_text()) == digest:
            return out
        raise UsageError(
            f"{labelled} holds other images than when {out} was built from it; give another out, "
            "or restore them"
        )

    def records() -> Iterator[Record]:
        for key, members in source.records:
            label = label_of[source.classes[int(bytes(members[LABEL_EXTENSION]))]]
            yield key, {**members, LABEL_EXTENSION: label_member(label)}

    names = tuple(class_names or map(str, range(num_classes)))
    relabelled = dataclasses.replace(source, records=records(), classes=names)
    report = build(relabelled, out, overwrite=True)
    if report.problems:
        first = report.problems[0]
        raise UsageError(
            f"{labelled}: {len(report.problems)} files are no images, the first is "
            f"{first.member} ({first.detail}); with so few labelled images each counts: mend or "
            "remove them"
        )
    atomic.write_bytes(str(marker), json.dumps(digest).encode())
    return out


def _check_labels(labelled: str, *, num_classes: int, class_names: Sequence[str] | None) -> None:
    """Labels that are missing or wrong are told now, not after the pool was scored."""
    index = build_image_index([labelled], label_ext=LABEL_EXTENSION)
    read_labels(index, label=LABEL_EXTENSION, num_classes=num_classes, class_names=class_names)


def _label(folder: str, *, num_classes: int, class_names: Sequence[str] | None, where: str) -> int:
    """Class of a folder: the teacher's class of that name, else a class number."""
    if class_names is not None and folder in class_names:
        return list(class_names).index(folder)
    if folder.isascii() and folder.isdecimal() and int(folder) < num_classes:
        return int(folder)
    names = f", such as {class_names[0]!r}," if class_names else ""
    raise UsageError(
        f"{where}: folder {folder!r} is no class of the teacher; expected its class names{names} "
        f"or numbers from 0 to {num_classes - 1}"
        + ("" if class_names else " (teacher.class_names gives names)")
    )


def _digest(root: str, label_of: dict[str, int]) -> dict[str, object]:
    """What the shards are made of: names, sizes and times of the files, and the labels."""
    digest = hashlib.sha256()
    for folder, folders, names in os.walk(os.path.expanduser(root), followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                status = os.stat(os.path.join(folder, name))
                place = os.path.relpath(os.path.join(folder, name), root)
                digest.update(f"{place}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return {"files": digest.hexdigest(), "labels": label_of}
