"""Small real shards and teachers for the distiller's tests: bars that lean one way or another.

The class of an image is the direction of its bars, so even a tiny network can learn it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from PIL import Image

from selector.teachers.preprocess import Preprocessing
from selector.teachers.zoo import build_model, default_preprocessing
from shards.writer import ShardWriter

CLASSES = 4

GREY_32 = default_preprocessing("lenet/5")
"""32 x 32 grey, squashed: what LeNet takes."""


def bars(index: int, *, size: int = 32) -> np.ndarray:
    """uint8 (size, size): image number `index`, of class index % CLASSES."""
    generator = np.random.default_rng(index)
    angle = np.pi * (index % CLASSES) / CLASSES + generator.normal(0, 0.05)
    y, x = np.mgrid[0:size, 0:size]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 0.8 + generator.uniform(0, 6))
    return (127 + 90 * wave + generator.normal(0, 15, (size, size))).clip(0, 255).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """Encoded without loss."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_shards(
    folder: Path,
    num: int,
    *,
    labelled: bool = False,
    replace: Mapping[int, bytes] | None = None,
    drop: tuple[int, ...] = (),
    per_shard: int = 1000,
    first: int = 0,
) -> str:
    """Shards of images first..first+num-1 in `folder`; returns the folder.

    Args:
        labelled: add .cls and .json members.
        replace: image number -> bytes to store in place of it.
        drop: samples that are written without an image.
    """
    with ShardWriter(str(folder), max_count=per_shard) as writer:
        for index in range(first, first + num):
            members = {"png": (replace or {}).get(index, png(bars(index)))}
            if labelled:
                label = index % CLASSES
                members["cls"] = str(label).encode()
                members["json"] = json.dumps({"label": label, "name": f"lean-{label}"}).encode()
            if index in drop:
                members = {"txt": b"no image here"}
            writer.write(f"{index:05d}", members)
    return str(folder)


def write_teacher(path: Path, *, seed: int = 1) -> str:
    """Weights of a lenet/5 of CLASSES classes: random, but sure of its answers."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_model("lenet/5", num_classes=CLASSES)
    weights = {name: 1.5 * value for name, value in model.state_dict().items()}
    safetensors.torch.save_file(weights, str(path))
    return str(path)


def grey(size: int) -> Preprocessing:
    """Grey, squashed to size x size."""
    return Preprocessing.from_dict({**GREY_32.to_dict(), "resize": size, "crop": size})
