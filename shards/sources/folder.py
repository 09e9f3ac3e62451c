"""A folder of image files as samples, byte for byte."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shards.decode import probe_size
from shards.errors import ImageError, StorageError, UsageError
from shards.sample import IMAGE_EXTENSIONS, Data, Problem, is_safe_name
from shards.sources.source import LABEL_EXTENSION, Record, Source, label_member

ClassFolders = Literal["auto", "yes", "no"]


@dataclass(frozen=True)
class _File:
    path: str  # below the root, with slashes
    key: str
    extension: str


def folder_source(root: str, *, class_folders: ClassFolders = "auto") -> Source:
    """Every image file below `root`, in the order of its path; hidden files are passed over.

    A file is an image by its extension and by its header; what is not is told as a problem. The
    key is the path without its extension; further dots become underscores, because a key ends at
    the first one.

    Args:
        root: a local folder. Symbolic links are followed.
        class_folders: "yes": the first folder of a path is the class, classes are numbered in the
            order of their names (as torchvision's ImageFolder); "no": folders mean nothing;
            "auto": "yes" when every image lies in one of at least two first folders.

    Raises:
        StorageError: no such folder.
        UsageError: a file, a folder without images, "yes" with images outside of class folders.
    """
    base = os.path.abspath(os.path.expanduser(root))
    if not os.path.exists(base):
        raise StorageError(f"{base} does not exist; check the path")
    if not os.path.isdir(base):
        raise UsageError(f"{base} is a file; expected a folder of images")
    problems: list[Problem] = []
    files = _image_files(base, problems)
    if not files:
        found = "; ".join(p.detail for p in problems[:3]) or "no files"
        raise UsageError(
            f"{base} holds no images ({found}); expected files ending in "
            f"{', '.join(IMAGE_EXTENSIONS)}"
        )
    classes = _classes(base, files, class_folders)
    return Source(
        identity={"kind": "folder", "root": base, "class_folders": class_folders},
        records=_records(base, files, classes, problems),
        count=len(files),
        classes=classes,
        problems=problems,
    )


def _image_files(base: str, problems: list[Problem]) -> list[_File]:
    """Image files by name, sorted by path, with keys that are unique and safe."""
    paths: list[str] = []
    ignored: dict[str, list[str]] = {}
    for path in sorted(_walk(base, problems)):
        extension = path.rpartition("/")[2].rpartition(".")[2].lower()
        if extension in IMAGE_EXTENSIONS:
            paths.append(path)
        else:
            ending = f".{extension}" if "." in path.rpartition("/")[2] else "no extension"
            ignored.setdefault(ending, []).append(path)
    for ending, others in sorted(ignored.items()):
        detail = f"{len(others)} files with {ending} left out, the first is {others[0]}"
        problems.append(Problem("not_an_image", base, others[0], detail))
    taken: set[str] = set()
    return [_keyed(path, taken) for path in paths]


def _walk(base: str, problems: list[Problem]) -> Iterator[str]:
    """Paths of regular files below `base`; each folder once, however links run."""

    def cannot_list(error: OSError) -> None:
        problems.append(Problem("read_error", base, str(error.filename), str(error)))

    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(base, onerror=cannot_list, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        relative = os.path.relpath(folder, base)
        for name in names:
            if name.startswith("."):
                continue
            path = name if relative == "." else Path(relative, name).as_posix()
            problem = _not_a_file(os.path.join(folder, name))
            if problem is None:
                yield path
            else:
                problems.append(Problem("read_error", base, _text(path), problem))


def _not_a_file(path: str) -> str | None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    # Opening a named pipe would wait for ever.
    return None if stat.S_ISREG(mode) else "neither a file nor a folder"


def _text(path: str) -> str:
    """A path that fits UTF-8: bytes that are none become U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")


def _keyed(path: str, taken: set[str]) -> _File:
    folder, slash, name = _text(path).rpartition("/")
    stem, _, extension = name.rpartition(".")
    key = f"{folder}{slash}{stem.replace('.', '_')}"
    if not is_safe_name(f"{key}.x"):
        key = key.replace("\\", "_").replace(":", "_")
    # cat.jpg beside cat.png would otherwise become two images of one sample.
    unique = key if key not in taken else f"{key}_{extension.lower()}"
    number = 2
    while unique in taken:
        unique = f"{key}_{number}"
        number += 1
    taken.add(unique)
    return _File(path, unique, extension.lower())


def _classes(base: str, files: list[_File], class_folders: ClassFolders) -> tuple[str, ...]:
    if class_folders == "no":
        return ()
    outside = next((file.path for file in files if "/" not in file.path), None)
    names = sorted({file.path.partition("/")[0] for file in files if "/" in file.path})
    if class_folders == "yes" and outside is not None:
        raise UsageError(f"{base}: {outside} lies in no class folder; move it, or ask for none")
    if class_folders == "auto" and (outside is not None or len(names) < 2):
        return ()
    return tuple(_text(name) for name in names)


def _records(
    base: str, files: list[_File], classes: tuple[str, ...], problems: list[Problem]
) -> Iterator[Record]:
    label_of = {name: label for label, name in enumerate(classes)}
    for file in files:
        try:
            data = Path(base, file.path).read_bytes()
            probe_size(data)
        except OSError as error:
            detail = f"cannot be read: {error.strerror}"
            problems.append(Problem("read_error", base, _text(file.path), detail))
            continue
        except ImageError as error:
            problems.append(Problem("not_an_image", base, _text(file.path), str(error)))
            continue
        members: dict[str, Data] = {file.extension: data}
        if classes:
            label = label_of[_text(file.path.partition("/")[0])]
            members[LABEL_EXTENSION] = label_member(label)
        yield file.key, members
