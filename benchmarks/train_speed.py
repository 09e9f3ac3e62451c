"""Distilling with coursepack against a plain PyTorch loop of the same recipe, in pairs.

    python -m benchmarks.train_speed --data $COURSEPACK_DATA --work DIR [--steps 60] [--rounds 7]
        [--contestants in_memory_bf16 coursepack_bf16 coursepack_bf16_compile]

CIFAR-10 images, he/resnet20 teaches he/resnet8, KD at T = 4, crop and flip, SGD with Nesterov
momentum, batches of 128. The plain loops are what one would write by hand:

- `in_memory`: all images as one uint8 tensor, crop and flip of the whole batch by tensor indexing;
- `dataloader`: a Dataset of arrays, torchvision's transforms image by image, DataLoader workers.

Both end a step with the loss as a number, as a log wants it. Every round trains each of them and
coursepack for the same number of steps, one after the other, in turns, each in a process of its
own; steps at the start are not counted. coursepack's figure is of its own log, with its checks
(finite loss, counted samples), metrics and checkpoints. A contestant that ends in _bf16 computes in
it, for processors that have it: a plain loop under autocast, coursepack with `precision: bf16` and
`teacher_runtime: openvino-bf16`. coursepack with _compile at the end runs with `compile: true`.
Prints one JSON line: images/s, the ratios of rounds, their median and its 95 % interval.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.cifar_data import load_cifar, write_cifar
from cluster.provenance import hardware, now, usable_cores, versions
from cluster.speed.figures import median_interval
from distiller.config import load_config
from distiller.metrics import read_metrics
from distiller.trainer import distill
from selector.teachers.load import Teacher, load_teacher
from selector.teachers.spec import TeacherSpec
from selector.teachers.zoo import build_model

BATCH, TEMPERATURE, WARM_UP = 128, 4.0, 10

USUAL = ("in_memory", "dataloader", "coursepack")
CONTESTANTS = (
    *(f"{name}{suffix}" for suffix in ("", "_bf16") for name in USUAL),
    "coursepack_compile",
    "coursepack_bf16_compile",
)


class Arrays(Dataset[Tensor]):
    """Images one by one through torchvision's transforms."""

    def __init__(self, images: np.ndarray, transform: Callable[[Any], Tensor]) -> None:
        self._images, self._transform = images, transform

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        return self._transform(self._images[index])


def in_memory(images: np.ndarray, teacher: Teacher) -> Iterator[Tensor]:
    """Normalised batches, for ever."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    padded = F.pad(pixels, (4, 4, 4, 4))
    while True:
        for rows in torch.randperm(len(pixels)).split(BATCH):
            if len(rows) < BATCH:
                continue
            top, left = torch.randint(0, 9, (2, BATCH, 1))
            y, x = top + torch.arange(32), left + torch.arange(32)
            batch = padded[rows[:, None, None], :, y[:, :, None], x[:, None, :]]
            batch = batch.permute(0, 3, 1, 2)
            flipped = torch.rand(BATCH) < 0.5
            batch[flipped] = batch[flipped].flip(3)
            yield teacher.preprocessing.normalize(batch)


def dataloader(images: np.ndarray, teacher: Teacher, *, workers: int) -> Iterator[Tensor]:
    """The same by a DataLoader."""
    pre = teacher.preprocessing
    transform = transforms.Compose(
        [
            transforms.ToPILImage(),
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(pre.mean, pre.std),
        ]
    )
    loader = DataLoader(
        Arrays(images, transform), batch_size=BATCH, shuffle=True, drop_last=True,
        num_workers=workers, persistent_workers=True,
    )  # fmt: skip
    while True:
        yield from loader


def plain_loop(
    batches: Iterator[Tensor], teacher: nn.Module, *, steps: int, bf16: bool = False
) -> float:
    """Images/s of the steps after the first ones."""
    student = build_model("he/resnet8", num_classes=10).train()
    optimizer = torch.optim.SGD(
        student.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    begin = 0.0
    for step, images in enumerate(batches):
        if step == WARM_UP:
            begin = perf_counter()
        if step == WARM_UP + steps:
            break
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            with torch.no_grad():
                answers = teacher(images)
            output = student(images)
        targets = F.log_softmax(answers.float() / TEMPERATURE, dim=1)
        logits = F.log_softmax(output.float() / TEMPERATURE, dim=1)
        loss = F.kl_div(logits, targets, reduction="batchmean", log_target=True) * TEMPERATURE**2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
    return steps * BATCH / (perf_counter() - begin)


def ours(
    pool: Path, weights: Path, out: Path, *, steps: int, threads: int, bf16: bool, compiled: bool
) -> float:
    """Images/s that the log of a run tells, of the steps after the first ones."""
    shutil.rmtree(out, ignore_errors=True)
    distill(
        load_config(
            {
                "teacher": {"name": "he/resnet20", "weights": str(weights)},
                "student": {"name": "he/resnet8"},
                "data": {"train": [str(pool)]},
                "objective": {"kind": "kd", "temperature": TEMPERATURE},
                "augment": {"crop_padding": 4, "flip": True},
                "optimizer": {"kind": "sgd", "lr": 0.05, "weight_decay": 5e-4, "nesterov": True},
                **({"precision": "bf16", "teacher_runtime": "openvino-bf16"} if bf16 else {}),
                "compile": compiled,
                "steps": WARM_UP + steps,
                "batch_size": BATCH,
                "log_every": WARM_UP,
                "device": "cpu",
                "threads": threads,
                "out": str(out),
            }
        )
    )
    lines = [line for line in read_metrics(out / "metrics.jsonl") if "images_per_s" in line]
    rates = [line["images_per_s"] for line in lines[1:]]
    return len(rates) / sum(1 / rate for rate in rates)


def measure(name: str, options: argparse.Namespace) -> float:
    """Images/s of one contestant."""
    compiled, name = name.endswith("_compile"), name.removesuffix("_compile")
    bf16, kind = name.endswith("_bf16"), name.removesuffix("_bf16")
    threads = usable_cores()
    torch.set_num_threads(threads)
    weights = options.data / "weights" / "resnet20_cifar10.npz"
    if kind == "coursepack":
        return ours(
            options.work / "pool",
            weights,
            options.work / "out",
            steps=options.steps,
            threads=threads,
            bf16=bf16,
            compiled=compiled,
        )
    os.environ["COURSEPACK_DATA"] = str(options.data)
    images = load_cifar("train").images[: options.images]
    teacher = load_teacher(TeacherSpec(name="he/resnet20", weights=str(weights)))
    batches = (
        in_memory(images, teacher)
        if kind == "in_memory"
        else dataloader(images, teacher, workers=threads)
    )
    return plain_loop(batches, teacher.module, steps=options.steps, bf16=bf16)


def in_own_process(name: str, options: argparse.Namespace) -> float:
    """`measure`, where nothing that another contestant set is left."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(measure, name, options).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--contestants", nargs="+", default=USUAL, choices=CONTESTANTS)
    options = parser.parse_args()
    os.environ["COURSEPACK_DATA"] = str(options.data)
    found = load_cifar("train")
    write_cifar(options.work / "pool", found.take(np.arange(options.images)), prefix="train")
    mine = [name for name in options.contestants if name.startswith("coursepack")]
    rates: dict[str, list[float]] = defaultdict(list)
    for number in range(options.rounds):
        for name in options.contestants[:: 1 if number % 2 else -1]:
            rates[name].append(in_own_process(name, options))
    line = {
        "benchmark": "train_speed", "teacher": "he/resnet20", "student": "he/resnet8",
        "batch": BATCH, "steps": options.steps, "threads": usable_cores(),
        "images_per_s": {name: round(float(np.median(one)), 1) for name, one in rates.items()},
        **{
            f"{name}_over": {
                other: ratio(rates[name], rates[other])
                for other in options.contestants
                if other != name
            }
            for name in mine
        },
        "at": now(), "hardware": hardware(), "versions": versions(),
    }  # fmt: skip
    print(json.dumps(line))


def ratio(mine: list[float], theirs: list[float]) -> dict[str, object]:
    """Of the rounds: median, its interval, all."""
    ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
    low, high = median_interval(ratios)
    return {
        "ratio": round(float(np.median(ratios)), 3),
        "interval": [round(low, 3), round(high, 3)],
        "pairs": [round(one, 3) for one in ratios],
    }


if __name__ == "__main__":
    main()
