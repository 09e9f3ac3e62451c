"""`build`: images of any kind into shards, the kind told from the source itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from cluster.progress import OnProgress, Progress
from shards import storage
from shards.build import (
    BuildReport,
    ShardLayout,
    build_from_array,
    build_from_folder,
    build_from_tars,
    build_from_torchvision,
)
from shards.build import Progress as SamplesProgress
from shards.errors import UsageError
from shards.sample import IMAGE_EXTENSIONS
from shards.sources.folder import ClassFolders

SourceKind = Literal["folder", "array", "torchvision", "tars"]

TORCHVISION = "torchvision:"
_ARRAY_ENDINGS = (".npz", ".npy", "-ubyte", ".idx", ".gz")
_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")
_IMAGE_ENDINGS = tuple(f".{extension}" for extension in IMAGE_EXTENSIONS)


@dataclass(frozen=True)
class SourceOptions:
    """What only some kinds of source take; None = not given.

    Attributes:
        class_folders: folder: whether the first folder of a path is the class (auto, yes, no).
        labels: array: file of the class indexes.
        class_names: array: text file of class names, one a line.
        root: torchvision: where its data lies.
        split: torchvision: train, test, ...
        download: torchvision: fetch the data where it is missing.
    """

    class_folders: ClassFolders | None = None
    labels: str | None = None
    class_names: str | None = None
    root: str | None = None
    split: str | None = None
    download: bool | None = None


_TAKES: dict[SourceKind, set[str]] = {
    "folder": {"class_folders"},
    "array": {"labels", "class_names"},
    "torchvision": {"root", "split", "download"},
    "tars": set(),
}


def build(
    sources: Sequence[str],
    *,
    out: str,
    options: SourceOptions | None = None,
    layout: ShardLayout | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> BuildReport:
    """Build shards from one folder of images, array file or torchvision dataset, or from tars.

    Args:
        sources: One folder, .npz/.npy/idx file or `torchvision:NAME`; or tars of any number
            (files, globs, brace patterns, folders that hold .tar files).
        out: Folder or URI to write to.
        options: What only some kinds of source take.
        layout: Prefix and size of the shards.
        overwrite: Replace shards of that prefix that are there already.

    Raises:
        UsageError: sources of mixed kinds, an option of another kind, `out` holds shards.
        StorageError: a source that cannot be read, a place that cannot be written.
    """
    options, layout = options or SourceOptions(), layout or ShardLayout()
    kind = source_kind(sources)
    _refuse_foreign_options(kind, options)
    report = _samples_progress(on_progress)
    first = sources[0]
    if kind == "tars":
        return build_from_tars(sources, out, layout=layout, overwrite=overwrite, on_progress=report)
    if kind == "folder":
        return build_from_folder(
            first,
            out,
            class_folders=options.class_folders or "auto",
            layout=layout,
            overwrite=overwrite,
            on_progress=report,
        )
    if kind == "array":
        return build_from_array(
            first,
            out,
            labels=options.labels,
            class_names=_read_names(options.class_names),
            layout=layout,
            overwrite=overwrite,
            on_progress=report,
        )
    return build_from_torchvision(
        first.removeprefix(TORCHVISION),
        options.root,
        out,
        split=options.split,
        download=options.download or False,
        layout=layout,
        overwrite=overwrite,
        on_progress=report,
    )


def source_kind(sources: Sequence[str]) -> SourceKind:
    """What `sources` are, by their names; a local folder by what lies in it.

    Raises:
        UsageError: none, or several where only tars may be several.
    """
    if not sources:
        raise UsageError("nothing to build from: give a folder, an array file or tars")
    kinds = {_kind(source) for source in sources}
    if kinds == {"tars"}:
        return "tars"
    if len(sources) > 1:
        raise UsageError(
            f"found {len(sources)} sources ({', '.join(sources[:3])}); expected one folder, array "
            "file or torchvision dataset, or only tars. Build each with a --prefix of its own"
        )
    return kinds.pop()


def _kind(source: str) -> SourceKind:
    if source.startswith(TORCHVISION):
        return "torchvision"
    if source.lower().endswith(_ARRAY_ENDINGS) and not source.lower().endswith(_TAR_ENDINGS):
        return "array"
    if not storage.is_local(source) or not os.path.isdir(source):
        if os.path.isfile(source) and not source.lower().endswith(_TAR_ENDINGS):
            raise UsageError(
                f"{source}: expected a folder of images, an .npz, .npy or idx file, tars, or "
                f"{TORCHVISION}NAME"
            )
        return "tars"
    # Only the top level counts: pools are flat, and image folders may hold a stray tar below.
    names = sorted(os.listdir(source))
    tars = [name for name in names if name.lower().endswith(_TAR_ENDINGS)]
    images = [name for name in names if name.lower().endswith(_IMAGE_ENDINGS)]
    if tars and images:
        raise UsageError(
            f"{source} holds images ({images[0]}, ...) and tars ({tars[0]}, ...); give the tars by "
            f"a glob ('{source.rstrip('/')}/*.tar'), or move them out to build from the images"
        )
    return "tars" if tars else "folder"


def _refuse_foreign_options(kind: SourceKind, options: SourceOptions) -> None:
    given = [field.name for field in fields(options) if getattr(options, field.name) is not None]
    for name in given:
        if name not in _TAKES[kind]:
            owner = next(other for other, takes in _TAKES.items() if name in takes)
            raise UsageError(
                f"--{name.replace('_', '-')} goes with a source of kind {owner}; found {kind}"
            )


def _read_names(uri: str | None) -> list[str]:
    if uri is None:
        return []
    return storage.read_bytes(uri).decode().splitlines()


def _samples_progress(on_progress: OnProgress | None) -> SamplesProgress | None:
    if on_progress is None:
        return None

    def report(done: int, total: int | None) -> None:
        on_progress(Progress(done, total or 0, unit="images", images=done))

    return report
