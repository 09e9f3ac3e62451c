from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from distiller.inputs import open_inputs
from distiller.session import open_session
from distiller.targets import ReplayedViews
from distiller.views import FreshViews, View
from distiller.views_start import open_run_teacher
from selector.teachers.load import load_teacher
from selector.teachers.open_runtime import RUNTIMES
from shards.errors import UsageError
from tests.distiller.small_runs import small_config, supervised


def first_view(config: Any) -> tuple[type, View]:
    inputs = open_inputs(config, device=torch.device("cpu"), threads=1)
    session = open_session(inputs, state=None)
    (batch,) = session.train.images.batches([torch.arange(16)])
    return type(session.views), session.views(batch, step=0)


def test_who_is_asked_for_what(tmp_path: Path) -> None:
    kind, view = first_view(supervised(tmp_path))
    assert (kind, view.teacher_logits_BC, view.teacher_maps) == (FreshViews, None, ())
    kind, plain = first_view(small_config(tmp_path))
    assert (kind, plain.teacher_maps) == (FreshViews, ())
    assert plain.teacher_logits_BC is not None
    kind, view = first_view(small_config(tmp_path, hints={}))
    assert kind is FreshViews
    assert [one.shape[0] for one in view.teacher_maps] == [16] * 4
    torch.testing.assert_close(view.teacher_logits_BC, plain.teacher_logits_BC)
    targets = {"folder": str(tmp_path / "store")}
    kind, view = first_view(small_config(tmp_path, targets=targets))
    assert (kind, view.teacher_maps) == (ReplayedViews, ())


def test_targets_need_their_images_in_memory(tmp_path: Path) -> None:
    targets = {"folder": str(tmp_path / "store")}
    small = {"train": [str(tmp_path / "pool")], "memory_bytes": 1}
    with pytest.raises(UsageError, match=r"do not fit into data\.memory_bytes"):
        first_view(small_config(tmp_path, targets=targets, data=small))


def test_the_teacher_is_run_as_asked(tmp_path: Path) -> None:
    for package in RUNTIMES["openvino"].packages:
        pytest.importorskip(package)
    _, expected = first_view(small_config(tmp_path))
    _, found = first_view(small_config(tmp_path, teacher_runtime="openvino"))
    assert expected.teacher_logits_BC is not None
    assert found.teacher_logits_BC is not None
    assert not torch.equal(found.teacher_logits_BC, expected.teacher_logits_BC)
    torch.testing.assert_close(
        found.teacher_logits_BC, expected.teacher_logits_BC, rtol=1e-3, atol=1e-3
    )
    teacher = load_teacher(small_config(tmp_path).teacher)
    options = {"hints": {}, "teacher_runtime": "openvino"}
    asked = open_run_teacher(small_config(tmp_path, **options), teacher)
    assert asked is not None
    assert asked.name == "eager-fp32"
    assert open_run_teacher(supervised(tmp_path), None) is None


def test_a_runtime_that_is_not_there_is_told_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"coursepack\[openvino\]"):
        first_view(small_config(tmp_path, teacher_runtime="openvino"))
