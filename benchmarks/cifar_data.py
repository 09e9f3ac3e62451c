"""CIFAR-10 as arrays and as shards, for the benchmarks that measure on it.

Read from the folder `cifar10/` of COURSEPACK_DATA: sheets of 1,000 images (lossless WebP, 10
columns x 100 rows of 32 x 32), and labels.npz. Of the 50,000 training images the last 5,000 are
the validation set: settings are chosen on them, and no student of a benchmark trains on them.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.mnist_data import write_samples

NUM_VALIDATION = 5_000
SHEETS = {"train": 50, "test": 10}


class CifarImages(NamedTuple):
    """uint8 (N, 32, 32, 3), int64 (N,), and their places in the official order, int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray
    places: np.ndarray

    def take(self, rows: np.ndarray) -> CifarImages:
        return CifarImages(self.images[rows], self.labels[rows], self.places[rows])

    def per_class(self, count: int, *, seed: int) -> CifarImages:
        """`count` images of every class, drawn by the seed, in the official order."""
        rng = np.random.default_rng(seed)
        chosen = [
            rng.permutation(np.flatnonzero(self.labels == label))[:count]
            for label in np.unique(self.labels)
        ]
        return self.take(np.sort(np.concatenate(chosen)))


def data_folder() -> Path:
    return Path(os.environ["COURSEPACK_DATA"])


def load_cifar(kind: str) -> CifarImages:
    """`train` (45,000), `validation` (the other 5,000 of the training images) or `test`."""
    official = "test" if kind == "test" else "train"
    folder = data_folder() / "cifar10"
    sheets = [_sheet(folder / f"{official}_{n:02d}.webp") for n in range(SHEETS[official])]
    labels = np.load(folder / "labels.npz")[official].astype(np.int64)
    whole = CifarImages(np.concatenate(sheets), labels, np.arange(len(labels)))
    if kind == "test":
        return whole
    cut = len(labels) - NUM_VALIDATION
    return whole.take(np.arange(cut) if kind == "train" else np.arange(cut, len(labels)))


def all_training() -> CifarImages:
    """The 50,000 training images, those of the validation set included."""
    parts = [load_cifar(kind) for kind in ("train", "validation")]
    return CifarImages(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _sheet(path: Path) -> np.ndarray:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return pixels.reshape(100, 32, 10, 32, 3).swapaxes(1, 2).reshape(1000, 32, 32, 3)


def encode_png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def write_cifar(folder: Path, found: CifarImages, *, prefix: str) -> str:
    """Labelled shards of .png and .cls, unless they are there; returns the folder."""
    return write_samples(
        folder,
        (
            (f"{prefix}{place:05d}", {"png": encode_png(image), "cls": str(int(label)).encode()})
            for image, label, place in zip(*found, strict=True)
        ),
    )
