"""Images into shards: the same input gives the same bytes, and no shard is ever half there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from shards import destination, storage
from shards.atomic import write_bytes
from shards.errors import UsageError
from shards.sample import Problem
from shards.sources.arrays import array_source
from shards.sources.folder import ClassFolders, folder_source
from shards.sources.source import Source
from shards.sources.tars import tars_source
from shards.sources.torchvision_datasets import torchvision_source
from shards.writer import ShardWriter

CLASSES_FILE = "classes.txt"
"""Class names beside the shards: line n, from 0, names label n."""

Progress = Callable[[int, int | None], None]
"""Called now and then with (samples done, samples in all where it is known)."""

_PROGRESS_EVERY = 200


@dataclass(frozen=True)
class ShardLayout:
    """How samples are cut into shards: at most so many, and at most so many bytes, in each."""

    prefix: str = "shard"
    max_count: int = 10_000
    max_bytes: int = 1 << 30


@dataclass(frozen=True)
class BuildReport:
    """What a build made.

    Attributes:
        shards: URIs in order.
        samples: written samples.
        num_bytes: of all shards together.
        classes: class names by label, empty for unlabeled data.
        problems: everything that was left out or is odd; `Problem.shard` names the input.
    """

    shards: tuple[str, ...]
    samples: int
    num_bytes: int
    classes: tuple[str, ...]
    problems: tuple[Problem, ...]

    def problem_counts(self) -> dict[str, int]:
        """Kind of problem -> how often."""
        return dict(sorted(Counter(problem.kind for problem in self.problems).items()))


def build_from_folder(
    root: str,
    out: str,
    *,
    class_folders: ClassFolders = "auto",
    layout: ShardLayout = ShardLayout(),
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> BuildReport:
    """Shards from the image files below a folder, byte for byte (see `folder_source`).

    Raises:
        UsageError, StorageError: no images there, or `out` holds other shards already.
    """
    source = folder_source(root, class_folders=class_folders)
    return build(source, out, layout=layout, overwrite=overwrite, on_progress=on_progress)


def build_from_array(
    images: str,
    out: str,
    *,
    labels: str | None = None,
    class_names: Sequence[str] = (),
    keys: tuple[str | None, str | None] = (None, None),
    layout: ShardLayout = ShardLayout(),
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> BuildReport:
    """Shards of lossless PNG from an idx, npy or npz file (see `array_source`).

    Args:
        keys: names of the images and of the labels in a .npz, None to find them.

    Raises:
        UsageError, StorageError, CoursepackError: no such images, or `out` holds other shards.
    """
    source = array_source(
        images, labels=labels, images_key=keys[0], labels_key=keys[1], class_names=class_names
    )
    return build(source, out, layout=layout, overwrite=overwrite, on_progress=on_progress)


def build_from_torchvision(
    name: str,
    root: str | None,
    out: str,
    *,
    split: str | None = None,
    download: bool = False,
    options: Mapping[str, Any] | None = None,
    layout: ShardLayout = ShardLayout(),
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> BuildReport:
    """Shards from a torchvision dataset by its name (see `torchvision_source`).

    Raises:
        UsageError, StorageError, CoursepackError: no such dataset or data, or `out` holds shards.
    """
    source = torchvision_source(name, root, split=split, download=download, options=options)
    return build(source, out, layout=layout, overwrite=overwrite, on_progress=on_progress)


def build_from_tars(
    specs: Sequence[str],
    out: str,
    *,
    layout: ShardLayout = ShardLayout(),
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> BuildReport:
    """Other shards cut anew, with all members and the same bytes (see `tars_source`).

    Raises:
        UsageError, StorageError: no shards there, they lie in `out`, or `out` holds others.
    """
    target = storage.normalize(out)
    for shard in storage.expand(specs):
        if shard.uri.rpartition("/")[0] == target:
            raise UsageError(f"{shard.uri} lies in the folder to be written; choose another")
    return build(
        tars_source(specs), out, layout=layout, overwrite=overwrite, on_progress=on_progress
    )


def build(
    source: Source,
    out: str,
    *,
    layout: ShardLayout = ShardLayout(),
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> BuildReport:
    """Write a source's samples into `<out>/<prefix>-000000.tar`, ..., and class names beside them.

    A build that was interrupted is begun again by the same call: its shards are replaced.

    Raises:
        UsageError: `out` holds shards of this prefix, or other class names; no sample was sound.
        StorageError: reading or writing failed; no unfinished shard is left.
    """
    out = storage.normalize(out)
    identity = {**source.identity, "layout": asdict(layout)}
    class_lines = _class_lines(source.classes)
    classes_uri = storage.join(out, CLASSES_FILE)
    if class_lines and not overwrite:
        _refuse_other_classes(classes_uri, class_lines)
    destination.begin(out, layout.prefix, identity, overwrite=overwrite)
    if class_lines:
        write_bytes(classes_uri, class_lines)
    count = 0
    with ShardWriter(out, **asdict(layout)) as writer:
        for key, members in source.records:
            writer.write(key, members)
            count += 1
            if on_progress is not None and count % _PROGRESS_EVERY == 0:
                on_progress(count, source.count)
    if on_progress is not None:
        on_progress(count, source.count)
    if count == 0:
        found = "; ".join(f"{p.member}: {p.detail}" for p in source.problems[:3])
        raise UsageError(f"nothing to write: no sample could be read ({found or 'none there'})")
    report = BuildReport(
        shards=tuple(writer.paths),
        samples=count,
        num_bytes=sum(storage.stat(path).num_bytes for path in writer.paths),
        classes=source.classes,
        problems=tuple(source.problems),
    )
    destination.finish(
        out,
        layout.prefix,
        identity,
        {
            "shards": [storage.name(path) for path in report.shards],
            "samples": count,
            "num_bytes": report.num_bytes,
            "problems": report.problem_counts(),
        },
    )
    return report


def _class_lines(classes: Sequence[str]) -> bytes:
    # A name is one line, whatever characters the name of a folder may have.
    return "".join(" ".join(name.split()) + "\n" for name in classes).encode()


def _refuse_other_classes(uri: str, lines: bytes) -> None:
    """Shards of one folder must agree on what a label means."""
    if storage.exists(uri) and storage.read_bytes(uri) != lines:
        raise UsageError(
            f"{uri} has other class names, so labels would mean two things in one folder; choose "
            "another folder, or overwrite (--overwrite)"
        )
