"""What every contestant is given, and what it must leave: one row an image.

key          the sample's key
pseudo_label argmax of the teacher's logits
noise_value  -log of its largest probability
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import transforms

from benchmarks.peers.models import SmallNet, Stub


@dataclass(frozen=True)
class Job:
    """One measurement.

    Attributes:
        shards: tar files of the pool.
        folder: the same images as files, in a class folder `all`.
        teacher: `torchvision/resnet18`, `stub` or `lenet`.
        side: of the teacher's input; 224 is reached through 256, as published.
        cores: that a contestant may use.
        batch_size: of the peers; coursepack chooses its own.
        runtime: of coursepack; the peers run eager PyTorch.
    """

    shards: list[str]
    folder: str
    teacher: str
    weights: str
    side: int
    cores: int
    batch_size: int
    runtime: str
    out: str

    @classmethod
    def from_argv(cls) -> Job:
        return cls(**json.loads(sys.argv[1]))

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def build(teacher: str) -> nn.Module:
    """Random weights; those of the job are loaded over them."""
    if teacher == "stub":
        return Stub()
    if teacher == "lenet":
        return SmallNet()
    from torchvision import models

    return models.get_model(teacher.partition("/")[2], weights=None, num_classes=1000)


def load(job: Job) -> nn.Module:
    """The teacher, as its users run it: eval mode, channels last."""
    model = build(job.teacher)
    model.load_state_dict(load_file(job.weights))
    return model.eval().to(memory_format=torch.channels_last)


def stock_transform(side: int) -> Callable[[Image.Image], Tensor]:
    """torchvision's own, on PIL images: what the published weights were evaluated with."""
    size = 256 if side == 224 else side
    return transforms.Compose(
        [
            transforms.Resize(size),
            transforms.CenterCrop(side),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )


def scores(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Pseudo-labels and noise values."""
    with torch.inference_mode():
        logits = model(images.contiguous(memory_format=torch.channels_last))
        log_p = torch.log_softmax(logits.double(), dim=1)
    best = log_p.max(dim=1)
    return best.indices, -best.values


def score_batches(model: nn.Module, batches: Iterable[tuple[Any, Sequence[str]]], job: Job) -> None:
    """Score (images, keys) as a loader brings them, write the rows, tell how many there were."""
    keys: list[str] = []
    labels: list[int] = []
    values: list[float] = []
    for images, names in batches:
        found = scores(model, torch.as_tensor(images))
        keys += names
        labels += found[0].tolist()
        values += found[1].tolist()
    rows = pa.table({"key": keys, "pseudo_label": labels, "noise_value": values})
    Path(job.out).mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, f"{job.out}/scores.parquet")
    finish(len(keys))


def finish(images: int) -> None:
    """The last line of a contestant's process."""
    print(json.dumps({"images": images}))
