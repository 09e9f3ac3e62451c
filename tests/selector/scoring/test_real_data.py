"""A published network over images from the wild, where COURSEPACK_DATA points to such data."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from selector.scoring.shard_scorer import ScoreTask, ShardScorer
from selector.scoring.spec import ScoreSpec
from selector.teachers.load import TeacherSpec, load_teacher
from selector.teachers.runtime import EagerRuntime
from selector.teachers.zoo import build_model
from shards.manifest import ShardEntry

DATA = Path(os.environ.get("COURSEPACK_DATA", ""))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "COURSEPACK_DATA" not in os.environ, reason="COURSEPACK_DATA is not set: no real data here"
    ),
]
TEACHER = TeacherSpec(name="he/resnet20", weights=str(DATA / "weights" / "resnet20_cifar10.npz"))
NUM_IMAGES = 1000


def reference_noise_values() -> np.ndarray:
    """A plain loop: tarfile, Pillow, PyTorch in float64."""
    arrays = np.load(DATA / "weights" / "resnet20_cifar10.npz")
    model = build_model("he/resnet20", num_classes=10).double().eval()
    state = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    model.load_state_dict(state, strict=False)
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).view(3, 1, 1)
    values = []
    with tarfile.open(DATA / "wild" / "wild-000.tar.gz") as tar:
        for member in tar:
            if not member.name.endswith(".jpg"):
                continue
            image = Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
            pixels = np.array(image.resize((32, 32), Image.Resampling.BILINEAR))
            x = (torch.from_numpy(pixels).permute(2, 0, 1).double() / 255 - mean) / std
            with torch.no_grad():
                logits = model(x[None])[0]
            others = torch.cat([logits[: logits.argmax()], logits[logits.argmax() + 1 :]])
            values.append(torch.log1p((others - logits.max()).exp().sum()).item())
            if len(values) == NUM_IMAGES:
                break
    return np.array(values)


def test_noise_values_equal_a_plain_float64_loop(tmp_path: Path) -> None:
    shard = DATA / "wild" / "wild-000.tar.gz"
    task = ScoreTask(ShardEntry(0, str(shard), 1, "e"), stop=NUM_IMAGES, run=str(tmp_path))
    with ShardScorer(ScoreSpec(teacher=TEACHER), batch_size=64, threads=2) as scorer:
        result = scorer.score(task)
    found = pq.read_table(result.paths[0])["noise_value"].to_numpy().astype(np.float64)
    expected = reference_noise_values()
    assert expected.min() < 1e-7
    assert (found > 0).all()
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize(("name", "accuracy"), [("resnet20", 91.73)])
def test_published_weights_reach_their_accuracy(name: str, accuracy: float) -> None:
    weights = str(DATA / "weights" / f"{name}_cifar10.npz")
    run = EagerRuntime(load_teacher(TeacherSpec(name=f"he/{name}", weights=weights)))
    labels = np.load(DATA / "cifar10" / "labels.npz")["test"]
    right = 0
    for number in range(10):
        sheet = np.array(Image.open(DATA / "cifar10" / f"test_{number:02d}.webp").convert("RGB"))
        tiles = sheet.reshape(100, 32, 10, 32, 3).swapaxes(1, 2).reshape(1000, 32, 32, 3)
        for start in range(0, 1000, 100):
            batch = torch.from_numpy(tiles[start : start + 100]).permute(0, 3, 1, 2)
            answer = run(batch).argmax(dim=1).numpy()
            first = number * 1000 + start
            right += int((answer == labels[first : first + 100]).sum())
    assert right / 100 == pytest.approx(accuracy, abs=0.005)
