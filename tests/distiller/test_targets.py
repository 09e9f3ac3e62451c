from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from distiller.config import DistillConfig
from distiller.inputs import open_inputs
from distiller.session import Session, open_session
from distiller.targets import read_targets
from distiller.trainer import distill
from shards.errors import StorageError, UsageError
from tests.distiller.small_runs import small_config


def replaying(folder: Path, *, views: int = 3, **changes: Any) -> DistillConfig:
    store = {"folder": str(folder / "store"), "views": views}
    return small_config(folder, augment={"flip": True}, **{"targets": store, **changes})


def session_for(config: DistillConfig) -> Session:
    inputs = open_inputs(config, device=torch.device("cpu"), threads=1)
    return open_session(inputs, state=None)


def test_replayed_logits_are_the_teachers_on_just_these_views(tmp_path: Path) -> None:
    session = session_for(replaying(tmp_path))
    assert session.teacher is not None
    seen = []
    # 60 images, 16 a step: steps 0 to 3 lie in epoch 0, 4 to 7 in epoch 1, step 12 in epoch 3.
    for step in (0, 3, 4, 8, 12):
        (batch,) = session.train.images.batches([torch.arange(16)])
        view, logits, _ = session.views(batch, step=step)
        assert logits is not None
        torch.testing.assert_close(logits, session.teacher.logits(view), rtol=1e-3, atol=1e-4)
        seen.append(view)
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[2], seen[3])
    assert torch.equal(seen[0], seen[4])  # three views, then round again


def test_one_view_without_augmentation_is_plain_kd(tmp_path: Path) -> None:
    plain = distill(small_config(tmp_path, augment={"crop_padding": 0}, out=str(tmp_path / "a")))
    store = {"folder": str(tmp_path / "store")}
    replayed = distill(
        small_config(tmp_path, augment={"crop_padding": 0}, targets=store, out=str(tmp_path / "b"))
    )
    assert replayed.metrics["train_loss"] == pytest.approx(plain.metrics["train_loss"], rel=1e-4)


def test_a_second_run_asks_the_teacher_for_nothing(tmp_path: Path) -> None:
    distill(replaying(tmp_path, out=str(tmp_path / "first")))
    stamps = {file: file.stat().st_mtime_ns for file in (tmp_path / "store").iterdir()}
    assert len(stamps) == 4
    second = distill(replaying(tmp_path, seed=5, out=str(tmp_path / "second")))
    assert second.steps == 12
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "store").iterdir()} == stamps


def test_a_store_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    session_for(replaying(tmp_path))
    last = tmp_path / "store" / "view-00002.safetensors"
    whole = last.read_bytes()
    last.unlink()
    session_for(replaying(tmp_path))
    assert last.read_bytes() == whole


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"augment": {"flip": False}}, "augment"),
        ({"targets": {"views": 4}}, "views: 3 there, 4 now"),
        ({"teacher": {"preprocessing": {"mean": [0.5]}}}, "preprocessing"),
    ],
)
def test_stale_targets_are_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    session_for(replaying(tmp_path))
    merged = {"targets": {"folder": str(tmp_path / "store"), "views": 3}}
    for name, value in changes.items():
        merged[name] = {**merged.get(name, {}), **value}
    with pytest.raises(UsageError, match="made from something else") as error:
        session_for(small_config(tmp_path, **{"augment": {"flip": True}, **merged}))
    assert told in str(error.value)


def test_other_images_are_refused(tmp_path: Path) -> None:
    session_for(replaying(tmp_path))
    content = json.loads((tmp_path / "store" / "targets.json").read_text())
    content["training images"] = "another"
    (tmp_path / "store" / "targets.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match="training images: 'another' there"):
        session_for(replaying(tmp_path))


def test_a_damaged_view_is_named(tmp_path: Path) -> None:
    session_for(replaying(tmp_path))
    path = tmp_path / "store" / "view-00000.safetensors"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(StorageError, match="view-00000"):
        distill(replaying(tmp_path))
    with pytest.raises(StorageError, match="holds 60 targets for 61 images"):
        read_targets(tmp_path / "store" / "view-00001.safetensors", num_images=61)


def test_what_cannot_be_replayed_is_said(tmp_path: Path) -> None:
    small = replaying(tmp_path, data={"train": [str(tmp_path / "pool")], "memory_bytes": 100})
    with pytest.raises(UsageError, match=r"do not fit into data\.memory_bytes"):
        session_for(small)
    with pytest.raises(UsageError, match="the objective asks no teacher"):
        replaying(tmp_path, objective={"kind": "supervised"})
