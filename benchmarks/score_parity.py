"""Noise values of a run against a plain float64 PyTorch loop over the same images.

    python -m benchmarks.score_parity RUN --weights resnet20_cifar10.npz [--top 10000] [--limit N]

The run must come from `coursepack score POOL --teacher he/resnet20 ...`. The loop below shares the
network's definition with the product and nothing else: Python's tarfile, Pillow, torch in float64.
Prints one JSON line: rows, images of the loop that the run lacks, largest relative error of the
noise value, smallest noise value, exact zeros, overlap of the n smallest, seconds.
"""

from __future__ import annotations

import argparse
import io
import json
import tarfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from cluster.pool_manifest import read_manifest
from cluster.provenance import hardware, now, versions
from selector.tables.layout import RunLayout
from selector.tables.read import read
from selector.teachers.zoo import build_model

MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])


def reference_noise_values(shard: str, weights: Path, limit: int) -> dict[str, float]:
    """Key -> noise value in nats, in float64 from the pixels on."""
    model = build_model("he/resnet20", num_classes=10).double().eval()
    arrays = np.load(weights)
    model.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    values: dict[str, float] = {}
    with tarfile.open(shard) as tar:
        members = [member for member in tar if member.name.endswith(".jpg")][:limit]
        for begin in range(0, len(members), 200):
            chunk = members[begin : begin + 200]
            pixels = np.stack([_pixels(tar, member) for member in chunk])
            with torch.inference_mode():
                z = model(torch.from_numpy(pixels)).numpy()
            gaps = z - z.max(axis=1, keepdims=True)
            others = np.where(np.arange(10) == z.argmax(axis=1)[:, None], 0.0, np.exp(gaps))
            noise = np.log1p(others.sum(axis=1))
            values |= {m.name.split(".")[0]: float(v) for m, v in zip(chunk, noise, strict=True)}
    return values


def _pixels(tar: tarfile.TarFile, member: tarfile.TarInfo) -> npt.NDArray[np.float64]:
    file = tar.extractfile(member)
    assert file is not None
    image = Image.open(io.BytesIO(file.read())).convert("RGB")
    image = image.resize((32, 32), Image.Resampling.BILINEAR)
    normalised = (np.asarray(image, np.float64) / 255 - MEAN) / STD
    return np.ascontiguousarray(normalised.transpose(2, 0, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--top", type=int, default=10_000)
    parser.add_argument("--limit", type=int, default=10**9, help="images per shard")
    options = parser.parse_args()
    started = time.monotonic()
    layout = RunLayout(options.run)
    table = read(layout, "scores", ["key", "noise_value", "status"])
    scored = dict(zip(table["key"].to_pylist(), table["noise_value"].to_pylist(), strict=True))
    reference: dict[str, float] = {}
    for entry in read_manifest(layout).entries:
        reference |= reference_noise_values(entry.uri, options.weights, options.limit)
    keys = [key for key in reference if key in scored]
    ours = np.array([scored[key] for key in keys])
    truth = np.array([reference[key] for key in keys])
    top = min(options.top, len(keys))
    overlap = len(set(np.argsort(ours)[:top]) & set(np.argsort(truth)[:top])) / top
    result = {
        "benchmark": "score_parity",
        "rows": len(table),
        "compared": len(keys),
        "absent": len(reference) - len(keys),
        "max_relative_error": float(np.max(np.abs(ours - truth) / truth)),
        "smallest_noise_value": float(truth.min()),
        "below_1e-7": int((truth < 1e-7).sum()),
        "exact_zeros": int((ours == 0).sum()),
        f"top_{top}_overlap": overlap,
        "seconds": round(time.monotonic() - started, 1),
        "at": now(),
        "hardware": hardware(),
        "versions": versions(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
