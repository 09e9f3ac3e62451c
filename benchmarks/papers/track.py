"""Where a table is run: a teacher, a student, a pool, real images, and how long to train.

`tiny`: digits and printed glyphs, minutes, from packages alone; the test suite runs it.
`small`: CIFAR-10 and 40,000 Tiny-ImageNet images that nobody labelled, on a CPU.
`full` (full.py): the papers' networks and schedule on a GPU; the pool is the user's.
A YAML file (own.py): teacher, student, pool and test images are the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cluster.demo.settings import DemoSettings

TINY_POOL = DemoSettings(num_glyphs=3_000, glyphs_per_shard=1_000)


@dataclass(frozen=True)
class Places:
    """What a track made ready.

    Attributes:
        pool, real, test: shards; the real and the test images are labelled. No real ones: None.
        teacher: fields of a TeacherSpec.
        truth: how `coursepack truth` reads what the pool's images are, for the arms that are
            allowed to know; None where the pool does not say.
        device, threads: for scoring and training.
    """

    pool: str
    real: str | None
    test: str
    teacher: dict[str, Any]
    truth: dict[str, Any] | None = None
    device: str = "cpu"
    threads: int = 1


@dataclass(frozen=True)
class Track:
    """One size of the experiments.

    Attributes:
        name, title: the title names pool, teacher and student beside every number.
        prepare: (work folder, data for choosing settings or for reporting) -> what is there.
        student: name of the network.
        num_selected: images of a selection, and of the real sets.
        num_classes: of the teacher.
        training: fields of the distill config that all arms share; equal samples seen.
        true_share: of the pool, that is of the teacher's classes: the prior of PU fits that are
            given one. None where nobody knows: it is estimated.
        best_training: what the arm `best` changes of it.
        identity: what else decides a result, for its hash: the user's pool, a teacher's schedule.
    """

    name: str
    title: str
    prepare: Callable[[Path, str], Places]
    student: str
    num_selected: int
    num_classes: int
    training: dict[str, Any]
    true_share: float | None = None
    best_training: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)


def prepare_tiny(work: Path, measured: str) -> Places:
    """The demo's digits and glyphs; its LeNet-5 is trained here."""
    from cluster import distill
    from cluster.demo.data import write_digits, write_pool
    from cluster.verbs.build import build

    if not (work / "digits-test.npz").exists():
        write_digits(work)
    for kind in ("train", "test"):
        if not (work / f"digits-{kind}").exists():
            build([str(work / f"digits-{kind}.npz")], out=str(work / f"digits-{kind}"))
    if not (work / "pool" / "written").exists():
        write_pool(work / "pool", TINY_POOL)
        (work / "pool" / "written").touch()
    teacher = distill(
        {
            "student": {"name": "lenet/5", "num_classes": 10},
            "data": {"train": [str(work / "digits-train")]},
            "objective": {"kind": "supervised"},
            "augment": {"affine": {"degrees": 10.0, "translate": 0.08}},
            "optimizer": {"lr": 0.05, "weight_decay": 5e-4},
            "schedule": {"kind": "cosine"},
            "steps": 200,
            "threads": 1,
            "device": "cpu",
            "out": str(work / "teacher"),
        }
    )
    if measured != "test":
        raise ValueError("the tiny track has no validation set: it shows that the program works")
    return Places(
        pool=str(work / "pool"),
        real=str(work / "digits-train"),
        test=str(work / "digits-test"),
        teacher={"name": "lenet/5", "weights": str(teacher.student_weights), "num_classes": 10},
        truth={"member": "json", "field": "character", "mapping": {str(k): k for k in range(10)}},
    )


def prepare_small(work: Path, measured: str) -> Places:
    """CIFAR-10 and the wild pool of COURSEPACK_DATA; 10,000 real images, 1,000 a class."""
    from benchmarks.cifar_data import data_folder, load_cifar, write_cifar
    from benchmarks.domain_share import class_of_synset

    real = load_cifar("train").per_class(1_000, seed=0)
    weights = data_folder() / "weights" / "resnet20_cifar10.npz"
    return Places(
        pool=str(data_folder() / "wild"),
        real=write_cifar(work / "real", real, prefix="train"),
        test=write_cifar(work / measured, load_cifar(measured), prefix=measured),
        teacher={"name": "he/resnet20", "weights": str(weights), "num_classes": 10},
        truth={"member": "json", "field": "synset", "mapping": class_of_synset()},
    )


def in_bf16(track: Track) -> Track:
    """The track with both networks in bf16: several times faster on CPUs that have it.

    The student's logits and losses stay in float32. Its results are a setting of their own.
    """
    arithmetic = {"precision": "bf16", "teacher_runtime": "openvino-bf16"}
    return replace(
        track,
        title=f"{track.title}; networks in bf16",
        training={**track.training, **arithmetic},
    )


CROP_FLIP = {"crop_padding": 4, "flip": True}

TRACKS: dict[str, Track] = {
    "tiny": Track(
        name="tiny",
        title="half a LeNet-5 taught by a LeNet-5 of digits; pool: printed glyphs",
        prepare=prepare_tiny,
        student="lenet/5-half",
        num_selected=1_000,
        num_classes=10,
        training={
            "augment": {"affine": {"degrees": 10.0, "translate": 0.08}},
            "optimizer": {"kind": "sgd", "lr": 0.05, "weight_decay": 5e-4},
            "schedule": {"kind": "cosine"},
            "steps": 60,
            "batch_size": 64,
        },
        true_share=0.1,
    ),
    "small": Track(
        name="small",
        title="ResNet-8 taught by a CIFAR-10 ResNet-20; pool: 40,000 Tiny-ImageNet images",
        prepare=prepare_small,
        student="he/resnet8",
        num_selected=10_000,
        num_classes=10,
        training={
            "augment": CROP_FLIP,
            "optimizer": {"kind": "sgd", "lr": 0.1, "nesterov": True, "weight_decay": 5e-4},
            "schedule": {"kind": "cosine", "warmup_steps": 50},
            "steps": 1_500,
            "batch_size": 128,
        },
        true_share=0.115,
    ),
}
