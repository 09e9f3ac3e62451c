"""Images that lie in one array, as samples of lossless PNG: idx (MNIST's format), npz, npy."""

from __future__ import annotations

import gzip
import io
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import numpy as np
from PIL import Image

from shards import storage
from shards.errors import CoursepackError, UsageError
from shards.sample import Data
from shards.sources.source import LABEL_EXTENSION, Record, Source, label_member

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_EXPECTED = "expected uint8 (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1, 3 or 4"


def array_source(
    images: str,
    *,
    labels: str | None = None,
    images_key: str | None = None,
    labels_key: str | None = None,
    class_names: Sequence[str] = (),
) -> Source:
    """Every image of an array, keyed by its position.

    Args:
        images: a .npz, .npy, or idx file, plain or .gz. An array is (N, H, W) grey or
            (N, H, W, C) or (N, C, H, W), uint8.
        labels: another such file that holds N class indexes; without it, a .npz may hold them.
        images_key, labels_key: names of the arrays in a .npz. Left out, the images are its only
            array of 3 or 4 dimensions, the labels its only array of N whole numbers, if any.
        class_names: names of the classes by index.

    Raises:
        UsageError: arrays of another shape or type, an ambiguous .npz.
        StorageError: a file that cannot be read; CoursepackError: one that is damaged.
    """
    arrays = _load(images)
    name = _pick(arrays, images_key, images, lambda array: array.ndim in (3, 4), "images")
    pixels = _channels_last(arrays[name], images)
    targets = _labels(arrays, name, len(pixels), images, labels, labels_key)
    if targets is not None and class_names and int(targets.max(initial=0)) >= len(class_names):
        raise UsageError(
            f"{labels or images}: label {targets.max()} has no name among {len(class_names)}"
        )
    return Source(
        identity={
            "kind": "array",
            "images": storage.normalize(images),
            "labels": None if labels is None else storage.normalize(labels),
            "keys": [images_key, labels_key],
        },
        records=_records(pixels, targets),
        count=len(pixels),
        classes=tuple(class_names) if targets is not None else (),
    )


def encode_png(pixels: np.ndarray) -> bytes:
    """Lossless PNG of uint8 (H, W) or (H, W, C), C = 1, 3 or 4; same pixels, same bytes."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue()


def read_idx(data: bytes, name: str) -> np.ndarray:
    """The array of an idx file, plain or gzipped.

    Raises:
        CoursepackError: not an idx file, or one of another length than its header says.
    """
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise CoursepackError(f"{name}: damaged gzip ({error}); fetch it again") from error
    kind = _IDX_TYPES.get(data[2]) if len(data) >= 4 and data[:2] == b"\0\0" else None
    if kind is None:
        raise CoursepackError(
            f"{name}: not an idx file (starts with {data[:4]!r}); expected .npz, .npy or idx"
        )
    start = 4 + 4 * data[3]
    shape = tuple(int(n) for n in np.frombuffer(data[4:start].ljust(start - 4, b"\0"), ">u4"))
    expected = start + np.dtype(kind).itemsize * math.prod(shape)
    if len(data) != expected:
        raise CoursepackError(
            f"{name}: {len(data)} bytes, its header says {expected} for shape {shape}; "
            "fetch it again"
        )
    return np.frombuffer(data, kind, offset=start).reshape(shape)


def _load(uri: str) -> dict[str, np.ndarray]:
    """Arrays of a file by name; an .npy or idx file has one, called ""."""
    data = storage.read_bytes(uri)
    if not data.startswith((b"PK", b"\x93NUMPY")):
        return {"": read_idx(data, uri)}
    try:
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"": loaded}
        return _arrays_of(loaded)
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        # numpy takes what it does not know for a pickle, and recommends to load that.
        reason = "" if "pickle" in str(error) else f" ({error})"
        raise CoursepackError(
            f"{uri}: no readable arrays{reason}; expected a .npz or .npy of plain numbers: fetch "
            "or save it again"
        ) from error


def _arrays_of(archive: np.lib.npyio.NpzFile) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for name in archive.files:
        # An array of objects holds no images, and unpickling it would run the file's code.
        with suppress(ValueError):
            arrays[name] = archive[name]
    return arrays


def _pick(
    arrays: dict[str, np.ndarray],
    wanted: str | None,
    uri: str,
    fits: Callable[[np.ndarray], bool],
    what: str,
) -> str:
    """Name of the array that is asked for, or the only one that fits."""
    listed = ", ".join(f"{name or 'array'} {a.dtype} {a.shape}" for name, a in arrays.items())
    if wanted is not None:
        if wanted not in arrays:
            raise UsageError(f"{uri} has no array {wanted!r}; it holds {listed}")
        return wanted
    fitting = [name for name, array in arrays.items() if fits(array)]
    if len(fitting) != 1:
        raise UsageError(f"{uri}: {len(fitting)} arrays could be the {what}; name one of: {listed}")
    return fitting[0]


def _channels_last(array: np.ndarray, uri: str) -> np.ndarray:
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    found = f"{uri}: images are {array.dtype} {array.shape}"
    if array.dtype != np.uint8:
        raise UsageError(f"{found}, {_EXPECTED}; scale to 0..255 and convert to uint8 first")
    if array.ndim == 4 and array.shape[3] not in (1, 3, 4) and array.shape[1] in (1, 3, 4):
        array = array.transpose(0, 2, 3, 1)
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise UsageError(f"{found}, {_EXPECTED}")
    if array.ndim == 4 and array.shape[3] not in (1, 3, 4):
        raise UsageError(f"{found}, {_EXPECTED}")
    return array


def _labels(
    arrays: dict[str, np.ndarray],
    images_name: str,
    count: int,
    images: str,
    labels: str | None,
    labels_key: str | None,
) -> np.ndarray | None:
    """int64 (N,), or None for unlabeled images."""

    def fits(array: np.ndarray) -> bool:
        return array.size == count and array.dtype.kind in "iu"

    if labels is not None:
        arrays, uri = _load(labels), labels
        name = _pick(arrays, labels_key, uri, fits, "labels")
    else:
        uri = images
        others = {name: array for name, array in arrays.items() if name != images_name}
        if labels_key is None and not any(fits(array) for array in others.values()):
            return None
        name = _pick(others, labels_key, uri, fits, "labels")
        arrays = others
    targets = arrays[name]
    if not fits(targets):
        raise UsageError(
            f"{uri}: labels are {targets.dtype} {targets.shape}, expected {count} whole numbers"
        )
    flat = targets.reshape(-1).astype(np.int64)
    if flat.min() < 0:
        raise UsageError(f"{uri}: label {flat.min()}; expected class indexes from 0")
    return flat


def _records(pixels: np.ndarray, targets: np.ndarray | None) -> Iterator[Record]:
    for index in range(len(pixels)):
        members: dict[str, Data] = {"png": encode_png(pixels[index])}
        if targets is not None:
            members[LABEL_EXTENSION] = label_member(int(targets[index]))
        yield f"{index:08d}", members
