from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from distiller.inputs import open_inputs
from distiller.session import open_session
from distiller.targets import ReplayedViews
from distiller.views import FreshViews, View
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
