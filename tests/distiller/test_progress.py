from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distiller.checkpoint import load_newest_checkpoint, save_checkpoint
from distiller.inputs import open_inputs
from distiller.progress import Progress, checkpoint_state, fresh, restore
from distiller.session import open_session
from distiller.train_step import train_step
from shards.errors import CoursepackError
from tests.distiller.small_runs import small_config

CPU = torch.device("cpu")


def test_a_window_gives_means_and_starts_anew() -> None:
    progress = Progress()
    for loss in (1.0, 2.0, 6.0):
        progress.add({"loss": loss})
    assert progress.step == 3
    assert progress.close_window() == {"loss": 3.0}
    progress.add({"loss": 5.0})
    assert progress.close_window() == {"loss": 5.0}
    assert progress.step == 4


def test_restore_brings_back_networks_optimizers_and_progress(tmp_path: Path) -> None:
    config = small_config(tmp_path, objective={"kind": "noisy"})
    inputs = open_inputs(config, device=CPU, threads=1)
    first, second = (open_session(inputs, state=None) for _ in "ab")
    progress = fresh(first)
    (batch,) = first.train.images.batches([torch.arange(16)])
    for step in range(3):
        progress.add(train_step(first, batch, step=step, folder=tmp_path))
    save_checkpoint(tmp_path, 3, checkpoint_state(first, progress, inputs.identity()))
    state, _ = load_newest_checkpoint(tmp_path)
    assert state is not None
    restored = restore(second, state)
    assert vars(restored).keys() == vars(progress).keys()
    assert restored.step == 3
    assert restored.window == progress.window
    values = [train_step(s, batch, step=3, folder=tmp_path) for s in (first, second)]
    assert values[0] == values[1]
    for one, other in zip(first.student.parameters(), second.student.parameters(), strict=True):
        assert torch.equal(one, other)
    assert first.objective.transition is not None
    assert second.objective.transition is not None
    assert torch.equal(first.objective.transition(), second.objective.transition())


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    sessions = []
    for name in ("lenet/5-half", "lenet/5"):
        config = small_config(tmp_path, student={"name": name})
        inputs = open_inputs(config, device=CPU, threads=1)
        sessions.append(open_session(inputs, state=None))
    state = checkpoint_state(sessions[0], fresh(sessions[0]), {})
    with pytest.raises(CoursepackError, match="does not fit this run"):
        restore(sessions[1], state)
