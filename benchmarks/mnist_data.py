"""MNIST as arrays and as shards, for the benchmarks that train on it.

Read from the folder `mnist/` of COURSEPACK_DATA. Of the 60,000 training digits the last 10,000
are the validation set: settings are chosen on them, and no student of a benchmark trains on them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from shards.sources.arrays import encode_png, read_idx
from shards.writer import ShardWriter

NUM_VALIDATION = 10_000


class Digits(NamedTuple):
    """uint8 (N, 28, 28) and int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray

    def take(self, rows: np.ndarray) -> Digits:
        return Digits(self.images[rows], self.labels[rows])


def load_mnist(kind: str) -> Digits:
    """`train` (50,000), `validation` (the other 10,000 of the training digits) or `test`."""
    folder = Path(os.environ["COURSEPACK_DATA"]) / "mnist"
    stem = "t10k" if kind == "test" else "train"
    images, labels = (
        read_idx((folder / f"{stem}-{what}-ubyte.gz").read_bytes(), what)
        for what in ("images-idx3", "labels-idx1")
    )
    digits = Digits(images, labels.astype(np.int64))
    if kind == "test":
        return digits
    cut = len(digits.labels) - NUM_VALIDATION
    return digits.take(np.arange(cut) if kind == "train" else np.arange(cut, cut + NUM_VALIDATION))


def write_labelled(folder: Path, digits: Digits) -> str:
    """Shards of .png and .cls in `folder`, unless they are there; returns the folder."""
    return write_samples(
        folder,
        (
            (f"digit-{i:06d}", {"png": encode_png(image), "cls": str(int(label)).encode()})
            for i, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True))
        ),
    )


def write_samples(folder: Path, samples: Iterable[tuple[str, dict[str, bytes]]]) -> str:
    """Shards of 5,000 samples in `folder`, unless they were written before; returns the folder."""
    done = folder / "written"
    if not done.exists():
        with ShardWriter(str(folder), max_count=5_000) as writer:
            for key, members in samples:
                writer.write(key, members)
        done.touch()
    return str(folder)


def train_teacher(work: Path, *, steps: int) -> dict[str, object]:
    """LeNet-5 trained with labels on the training digits; returns its card.

    It is measured on the test digits, by which nothing is chosen.
    """
    from cluster import distill

    config = {
        "student": {"name": "lenet/5", "num_classes": 10},
        "data": {
            "train": [write_labelled(work / "digits-train", load_mnist("train"))],
            "eval": [write_labelled(work / "digits-test", load_mnist("test"))],
        },
        "objective": {"kind": "supervised"},
        "augment": AUGMENT,
        "optimizer": {"kind": "sgd", "lr": 0.05, "weight_decay": 5e-4},
        "schedule": {"kind": "cosine"},
        "steps": steps,
        "eval_every": steps,
        "threads": 1,
        "device": "cpu",
        "out": str(work / "teacher"),
    }
    return distill(config).card


AUGMENT = {"affine": {"degrees": 10.0, "translate": 0.08, "scale": [0.9, 1.1], "shear": 8.0}}
"""As in the demo."""


def append_result(path: Path, result: dict[str, object]) -> None:
    """Print one result as a JSON line, and append it to `path`."""
    line = json.dumps(result)
    print(line, flush=True)
    with path.open("a") as file:
        file.write(line + "\n")
