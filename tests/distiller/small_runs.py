"""Configurations of runs that take a second: bars, a LeNet teacher, half a LeNet as student."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distiller.config import DistillConfig, load_config
from distiller.metrics import read_metrics
from distiller.recipes import merge
from tests.distiller.small_sets import CLASSES, write_shards, write_teacher


def small_config(folder: Path, **changes: Any) -> DistillConfig:
    """A KD run over 60 unlabelled images in `folder`; `changes` are merged over its fields.

    Shards and teacher are made in the folder unless they are there.
    """
    if not (folder / "pool").exists():
        write_shards(folder / "pool", 60, per_shard=25)
    if not (folder / "teacher.safetensors").exists():
        write_teacher(folder / "teacher.safetensors")
    base = {
        "teacher": {
            "name": "lenet/5",
            "weights": str(folder / "teacher.safetensors"),
            "num_classes": CLASSES,
        },
        "student": {"name": "lenet/5-half"},
        "data": {"train": [str(folder / "pool")]},
        "objective": {"kind": "kd"},
        "augment": {"crop_padding": 2},
        "optimizer": {"lr": 0.05},
        "steps": 12,
        "batch_size": 16,
        "checkpoint_every": 5,
        "log_every": 4,
        "device": "cpu",
        "threads": 1,
        "out": str(folder / "out"),
    }
    return load_config(merge(base, changes))


def supervised(folder: Path, *, images: int = 200, **changes: Any) -> DistillConfig:
    """A run without teacher over labelled images, measured on 80 others."""
    if not (folder / "labelled").exists():
        write_shards(folder / "labelled", images, labelled=True)
        write_shards(folder / "test", 80, labelled=True, first=1000)
    base = {
        "teacher": None,
        "student": {"name": "lenet/5-half", "num_classes": CLASSES},
        "data": {"train": [str(folder / "labelled")], "eval": [str(folder / "test")]},
        "objective": {"kind": "supervised"},
    }
    return small_config(folder, **merge(base, changes))


def untimed_metrics(out: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without what a clock measured."""
    records = read_metrics(out / "metrics.jsonl")
    return [{k: v for k, v in record.items() if k != "images_per_s"} for record in records]


def untimed_card(out: Path) -> dict[str, Any]:
    """card.json without what a clock measured or the folder decides."""
    card = json.loads((out / "card.json").read_text())
    del card["seconds"], card["metrics"]["train_images_per_s"], card["config"]["out"]
    return card  # type: ignore[no-any-return]
