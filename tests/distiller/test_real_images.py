"""Wild photographs, a trained CIFAR-10 teacher, a ResNet-8: needs the folder COURSEPACK_DATA."""

from __future__ import annotations

import itertools
import os
import tarfile
from pathlib import Path

import pytest

from distiller.config import DistillConfig, load_config
from distiller.metrics import read_metrics
from distiller.trainer import Event, distill
from shards.writer import ShardWriter

DATA = os.environ.get("COURSEPACK_DATA")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA, reason="COURSEPACK_DATA, the folder of real images, is not set"),
]


@pytest.fixture
def config(tmp_path: Path) -> DistillConfig:
    """Noisy distillation over the first 400 wild images."""
    assert DATA is not None
    with (
        tarfile.open(Path(DATA) / "wild" / "wild-000.tar.gz") as source,
        ShardWriter(str(tmp_path / "pool")) as writer,
    ):
        images = (member for member in source if member.name.endswith(".jpg"))
        for member in itertools.islice(images, 400):
            file = source.extractfile(member)
            assert file is not None
            writer.write(member.name.removesuffix(".jpg"), {"jpg": file.read()})
    weights = str(Path(DATA) / "weights" / "resnet20_cifar10.npz")
    return load_config(
        {
            "teacher": {"name": "he/resnet20", "weights": weights},
            "student": {"name": "he/resnet8"},
            "data": {"train": [str(tmp_path / "pool")]},
            "objective": {"kind": "noisy"},
            "augment": {"crop_padding": 4, "flip": True},
            "optimizer": {"lr": 0.1, "weight_decay": 5e-4},
            "schedule": {"kind": "cosine"},
            "steps": 40,
            "batch_size": 64,
            "checkpoint_every": 20,
            "log_every": 10,
            "device": "cpu",
            "threads": 1,
            "out": str(tmp_path / "out"),
        }
    )


def test_the_loss_falls_and_a_resumed_run_gives_the_same_weights(
    config: DistillConfig, tmp_path: Path
) -> None:
    whole = distill(config)
    losses = [line["loss"] for line in read_metrics(whole.out / "metrics.jsonl")]
    assert losses[-1] < 0.95 * losses[0]

    def stop(event: Event) -> None:
        if event.kind == "train" and event.step == 30:
            raise KeyboardInterrupt

    resumed_config = config.model_copy(update={"out": str(tmp_path / "resumed")})
    with pytest.raises(KeyboardInterrupt):
        distill(resumed_config, on_event=stop)
    resumed = distill(resumed_config)
    assert resumed.student_weights.read_bytes() == whole.student_weights.read_bytes()
