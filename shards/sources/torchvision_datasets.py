"""A torchvision dataset as samples: the files' own bytes where it has files, PNG where not."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shards.decode import probe_size
from shards.errors import CoursepackError, ImageError, StorageError, UsageError
from shards.sample import IMAGE_EXTENSIONS, Data, Problem
from shards.sources.arrays import encode_png
from shards.sources.source import LABEL_EXTENSION, Record, Source, label_member

_TRAIN_SPLITS = {"train": True, "test": False, "val": False}


class _Encoded:
    """What our loader hands through a dataset in place of a decoded image."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)


def torchvision_source(
    name: str,
    root: str | None = None,
    *,
    split: str | None = None,
    download: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Source:
    """Every item of `torchvision.datasets.<name>`, keyed by its position.

    Datasets that read files through a `loader` give the files' own bytes; the others give pixels,
    which become lossless PNG. Whole numbers as targets become labels, anything else is left out.

    Args:
        name: class name, in any case ("cifar10").
        root: where the data lies, or is downloaded to.
        split: "train", "test", ... in the dataset's own words; for those that take `train=`,
            "train" or "test".
        download: fetch the data when it is missing.
        options: further arguments of the dataset's constructor.

    Raises:
        UsageError: no such dataset, a split it does not have, items that are no images.
        StorageError: the data is not there.
        CoursepackError: torchvision is not installed, or its dataset fails.
    """
    dataset = _open(name, root, split, download, dict(options or {}))
    try:
        count = len(dataset)
    except (TypeError, NotImplementedError) as error:
        raise UsageError(f"torchvision dataset {name} has no length") from error
    problems: list[Problem] = []
    return Source(
        identity={
            "kind": "torchvision",
            "name": type(dataset).__name__,
            "root": None if root is None else os.path.abspath(os.path.expanduser(root)),
            "split": split,
            "options": {key: repr(value) for key, value in sorted((options or {}).items())},
        },
        records=_records(dataset, count, f"torchvision:{type(dataset).__name__}", problems),
        count=count,
        classes=_class_names(dataset),
        problems=problems,
    )


def _open(
    name: str, root: str | None, split: str | None, download: bool, options: dict[str, Any]
) -> Any:
    kind = _dataset_class(name)
    takes = inspect.signature(kind).parameters
    arguments: dict[str, Any] = {}
    if "root" in takes:
        if root is None:
            raise UsageError(f"torchvision dataset {kind.__name__} needs a root folder")
        arguments["root"] = root
    if download and ("download" in takes or "kwargs" in takes):
        arguments["download"] = True
    if split is not None:
        arguments |= _split_argument(kind.__name__, split, takes)
    if "loader" in takes or _is_folder_dataset(kind):
        arguments["loader"] = _Encoded
    try:
        return kind(**(arguments | options))
    except (RuntimeError, OSError) as error:
        hint = "" if download else "; check the root folder, or ask for a download"
        raise StorageError(f"torchvision dataset {kind.__name__}: {error}{hint}") from error
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"torchvision dataset {kind.__name__}: {error}; it takes {', '.join(takes)}"
        ) from error
    except ImportError as error:
        raise CoursepackError(f"torchvision dataset {kind.__name__}: {error}") from error


def _dataset_class(name: str) -> type:
    try:
        from torchvision import datasets
    except ImportError as error:
        raise CoursepackError("torchvision is missing: pip install torchvision") from error
    known = {known.lower(): known for known in datasets.__all__}
    if name.lower() not in known:
        close = difflib.get_close_matches(name.lower(), known, n=3)
        names = ", ".join(known[match] for match in close)
        hint = f"did you mean: {names}?" if close else "torchvision.datasets lists them"
        raise UsageError(f"torchvision has no dataset {name!r}; {hint}")
    found = getattr(datasets, known[name.lower()])
    if not isinstance(found, type):
        raise UsageError(f"torchvision.datasets.{known[name.lower()]} is no dataset")
    return found


def _is_folder_dataset(kind: type) -> bool:
    from torchvision.datasets import DatasetFolder

    return issubclass(kind, DatasetFolder)


def _class_names(dataset: Any) -> tuple[str, ...]:
    names = getattr(dataset, "classes", None)
    if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
        return tuple(names)
    return ()


def _split_argument(name: str, split: str, takes: Mapping[str, Any]) -> dict[str, Any]:
    for argument in ("split", "image_set", "what"):
        if argument in takes:
            return {argument: split}
    if "train" in takes:
        if split not in _TRAIN_SPLITS:
            raise UsageError(f"torchvision dataset {name}: split {split!r}; it has train and test")
        return {"train": _TRAIN_SPLITS[split]}
    raise UsageError(f"torchvision dataset {name} has no splits; leave the split out")


def _records(dataset: Any, count: int, name: str, problems: list[Problem]) -> Iterator[Record]:
    for index in range(count):
        key = f"{index:08d}"
        item = dataset[index]
        image, target = item[:2] if isinstance(item, tuple) and len(item) > 1 else (item, None)
        try:
            members = _image_members(image, name)
        except OSError as error:
            problems.append(Problem("read_error", name, key, f"cannot be read: {error}"))
            continue
        except ImageError as error:
            problems.append(Problem("not_an_image", name, key, str(error)))
            continue
        if isinstance(target, int | np.integer) and target >= 0:
            members[LABEL_EXTENSION] = label_member(int(target))
        yield key, members


def _image_members(image: Any, name: str) -> dict[str, Data]:
    path = _path_of(image)
    if path is not None:
        data = path.read_bytes()
        probe_size(data)
        return {path.suffix[1:].lower(): data}
    if isinstance(image, _Encoded):  # a file of another kind than shards hold
        image = Image.open(image.path)
    if isinstance(image, Image.Image):
        grey_or_colour = image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGB")
        return {"png": encode_png(np.asarray(grey_or_colour))}
    raise UsageError(f"{name} yields {type(image).__name__}; only datasets of images become shards")


def _path_of(image: Any) -> Path | None:
    """The file behind an item, if its own bytes are what is wanted."""
    if isinstance(image, _Encoded):
        path = image.path
    elif getattr(image, "filename", None):  # opened by Pillow, and nothing done to it since
        path = Path(image.filename)
    else:
        return None
    return path if path.suffix[1:].lower() in IMAGE_EXTENSIONS else None
