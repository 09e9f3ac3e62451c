"""The papers' networks and schedules on a GPU: teacher trained here, pool the user's.

    python -m benchmarks.papers prepare --track full --work DIR --pool SHARDS [--data DIR]
    python -m benchmarks.papers dfnd    --track full --work DIR --pool SHARDS [--data DIR] --seeds 3

CIFAR is read from `--data`: labelled shards in its folders `train` and `test`, or the folder that
torchvision keeps its data in; else from `cifar10/` of COURSEPACK_DATA. The pool is `--pool`, else
COURSEPACK_POOL, else the 40,000 wild images of COURSEPACK_DATA. The teacher, a ResNet-34, is
trained in `prepare`, or by whichever table comes first; killed and started again, it goes on.
Students are ResNet-18, bf16, channels last, 40,000 steps of 512 as in the paper unless `--steps` or
`--budget-minutes` say otherwise.

`--reduced` runs the same code with networks and steps of a test, on a CPU, in seconds: it shows
that the program works, and says nothing about any method.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.mnist_data import write_samples
from benchmarks.papers.track import CROP_FLIP, Places, Track
from shards import storage
from shards.errors import UsageError
from shards.reader import open_shard

CLASSES = {"cifar10": 10, "cifar100": 100}
PAPER_SELECTED, WILD_SELECTED = 600_000, 10_000
TEACHER_MINIMUM = 95.0
"""Per cent of CIFAR-10's test images that a teacher of this track should read."""

TEACHER_SCHEDULES: dict[str, dict[str, Any]] = {
    "paper": {
        "epochs": 199,
        "optimizer": {"kind": "sgd", "lr": 0.1, "weight_decay": 5e-4},
        "schedule": {"kind": "step", "milestones": [80 / 199, 120 / 199], "gamma": 0.1},
    },
    "short": {
        "epochs": 60,
        "optimizer": {"kind": "sgd", "lr": 0.1, "nesterov": True, "weight_decay": 5e-4},
        "schedule": {"kind": "cosine", "warmup_steps": 400},
    },
}
"""DFND's own, and a cosine of under a third of its length."""

PAPER_TRAINING: dict[str, Any] = {
    "augment": CROP_FLIP,
    "optimizer": {"kind": "sgd", "lr": 0.1, "weight_decay": 5e-4},
    "schedule": {"kind": "step", "milestones": [0.4, 0.8], "gamma": 0.1},
    "precision": "bf16",
    "steps": 40_000,
    "batch_size": 512,
    "checkpoint_every": 2_000,
}
"""Of all students: the paper's. (T is 4, as in its code and in the other tracks.)"""

BEST_TRAINING: dict[str, Any] = {"schedule": {"kind": "cosine", "warmup_steps": 400}}


@dataclass(frozen=True)
class FullOptions:
    """What a user may say of the track; see the module."""

    pool: str | None = None
    data: str | None = None
    dataset: Literal["cifar10", "cifar100"] = "cifar10"
    num_selected: int | None = None
    true_share: float | None = None
    teacher_schedule: str = "short"
    reduced: bool = False


def full_track(options: FullOptions) -> Track:
    """The track that `options` describe; nothing is read yet.

    Raises:
        UsageError: there is no pool, or no data.
    """
    pool = options.pool or os.environ.get("COURSEPACK_POOL")
    wild = pool is None
    if pool is None:
        pool = str(_data_folder("pool, nor --pool or COURSEPACK_POOL") / "wild")
    called = "40,000 Tiny-ImageNet images" if wild else Path(pool).name
    dataset = options.dataset.upper().replace("CIFAR", "CIFAR-")
    networks = f"ResNet-18 taught by a {dataset} ResNet-34 ({options.teacher_schedule} schedule)"
    teacher, student, training = "cifar/resnet34", "cifar/resnet18", PAPER_TRAINING
    if options.reduced:
        networks = f"REDUCED to a test of the program: ResNet-8 taught by a {dataset} ResNet-8"
        teacher = student = "he/resnet8"
        training = {**training, "steps": 4, "batch_size": 16, "checkpoint_every": 4}
    num_selected = options.num_selected or (WILD_SELECTED if wild else PAPER_SELECTED)
    is_cifar10_wild = wild and options.dataset == "cifar10"

    def prepare(work: Path, measured: str) -> Places:
        return _prepare(options, work, measured, pool=pool, teacher=teacher, wild=is_cifar10_wild)

    return Track(
        name="full",
        title=f"{networks}; pool: {called}",
        prepare=prepare,
        student=student,
        num_selected=num_selected,
        num_classes=CLASSES[options.dataset],
        training=training,
        true_share=options.true_share or (0.115 if is_cifar10_wild else None),
        best_training=BEST_TRAINING,
        identity={
            "pool": called,
            "dataset": options.dataset,
            "teacher_schedule": options.teacher_schedule,
            "reduced": options.reduced,
        },
    )


def _prepare(
    options: FullOptions, work: Path, measured: str, *, pool: str, teacher: str, wild: bool
) -> Places:
    import torch

    from benchmarks.domain_share import class_of_synset
    from cluster.provenance import usable_cores

    cuda = torch.cuda.is_available() and not options.reduced
    device, threads = ("cuda", min(8, usable_cores())) if cuda else ("cpu", 1)
    if not cuda and not options.reduced:
        raise UsageError(
            "the full track wants a GPU and torch sees none: a student would take days. "
            "--track small is for CPUs, --reduced shows that the program works"
        )
    real, test = _real_images(options, work, measured)
    weights = _train_teacher(
        options, work, teacher, real=real, test=test, device=device, threads=threads
    )
    return Places(
        pool=pool,
        real=real,
        test=test,
        teacher={"name": teacher, "weights": weights, "num_classes": CLASSES[options.dataset]},
        truth={"member": "json", "field": "synset", "mapping": class_of_synset()} if wild else None,
        device=device,
        threads=threads,
    )


def _train_teacher(
    options: FullOptions,
    work: Path,
    name: str,
    *,
    real: str,
    test: str,
    device: str,
    threads: int,
) -> str:
    """Weights of the teacher; trained if they are not there, from where it was stopped."""
    from cluster import distill

    schedule = dict(TEACHER_SCHEDULES[options.teacher_schedule])
    batch = 16 if options.reduced else 128
    images = sum(1 for _ in _samples(real))
    steps = 6 if options.reduced else schedule["epochs"] * images // batch
    card = distill(
        {
            "student": {"name": name, "num_classes": CLASSES[options.dataset]},
            "data": {"train": [real], "eval": [test]},
            "objective": {"kind": "supervised"},
            "augment": CROP_FLIP,
            "optimizer": schedule["optimizer"],
            "schedule": schedule["schedule"],
            "precision": "bf16",
            "steps": steps,
            "batch_size": batch,
            "eval_every": max(steps // 10, 1),
            "checkpoint_every": 2_000,
            "threads": threads,
            "device": device,
            "out": str(work / f"teacher-{options.teacher_schedule}"),
        }
    ).card
    top1 = 100 * card["metrics"]["top1"]
    print(f"teacher: {top1:.2f} % of the test images", file=sys.stderr, flush=True)
    if top1 < TEACHER_MINIMUM and options.dataset == "cifar10" and not options.reduced:
        print(
            f"warning: below the {TEACHER_MINIMUM} % that this track asks for; "
            "--teacher-schedule paper trains longer",
            file=sys.stderr,
        )
    return str(work / f"teacher-{options.teacher_schedule}" / card["student"]["weights"])


def _real_images(options: FullOptions, work: Path, measured: str) -> tuple[str, str]:
    """Labelled shards to train on and to measure on.

    "validation" measures on every tenth of the training images, which then nobody trains on.
    """
    from benchmarks.cifar_data import all_training, load_cifar, write_cifar
    from cluster.verbs.build import SourceOptions, build

    if options.data is None:
        if options.dataset != "cifar10":
            raise UsageError(f"--dataset {options.dataset} needs --data, the folder it lies in")
        _data_folder("CIFAR-10, nor --data")
        train = write_cifar(work / "train", all_training(), prefix="train")
        test = write_cifar(work / "test", load_cifar("test"), prefix="test")
    elif (Path(options.data) / "train").is_dir() and (Path(options.data) / "test").is_dir():
        train, test = str(Path(options.data) / "train"), str(Path(options.data) / "test")
    else:
        for split in ("train", "test"):
            done = work / split / "written"
            if not done.exists():
                source = SourceOptions(root=options.data, split=split)
                build([f"torchvision:{options.dataset}"], out=str(work / split), options=source)
                done.touch()
        train, test = str(work / "train"), str(work / "test")
    if measured == "test":
        return train, test
    kept = (sample for row, sample in enumerate(_samples(train)) if row % 10)
    held = (sample for row, sample in enumerate(_samples(train)) if row % 10 == 0)
    return write_samples(work / "train-without", kept), write_samples(work / "validation", held)


def _samples(shards: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    for entry in storage.expand([shards]):
        with open_shard(entry.uri) as shard:
            for sample in shard.samples():
                pairs = zip(sample.entry.members, sample.data, strict=True)
                yield sample.entry.key, {member.extension: bytes(data) for member, data in pairs}


def _data_folder(what: str) -> Path:
    if "COURSEPACK_DATA" not in os.environ:
        raise UsageError(f"no {what}, and COURSEPACK_DATA names no folder to take it from")
    return Path(os.environ["COURSEPACK_DATA"])
