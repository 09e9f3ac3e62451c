from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from distiller.config import DistillConfig
from distiller.inputs import open_inputs, pick_device
from distiller.session import Session, open_session
from distiller.transition_matrix import joint_from_probabilities, start_from_joint
from shards.errors import UsageError
from tests.distiller.small_runs import small_config, supervised
from tests.distiller.small_sets import CLASSES, bars, write_shards

CPU = torch.device("cpu")


def opened(config: DistillConfig, *, state: dict[str, Any] | None = None) -> Session:
    return open_session(open_inputs(config, device=CPU, threads=1), state=state)


def test_teacher_and_student_share_the_teachers_preprocessing(tmp_path: Path) -> None:
    session = opened(small_config(tmp_path, teacher={"preprocessing": {"mean": [0.5]}}))
    assert session.teacher is not None
    assert session.preprocessing == session.teacher.preprocessing
    assert session.preprocessing.mean == (0.5,)


def test_without_a_teacher_the_students_own_or_the_given_preprocessing_is_used(
    tmp_path: Path,
) -> None:
    stock = opened(supervised(tmp_path)).preprocessing
    assert stock.mean == (0.1307,)
    given = {**stock.to_dict(), "mean": [0.25]}
    session = opened(supervised(tmp_path, student={"preprocessing": given}))
    assert session.preprocessing.mean == (0.25,)
    (batch,) = session.train.images.batches([torch.arange(4)])
    assert session.views(batch, step=0).teacher_logits_BC is None


@pytest.mark.parametrize("full", [True, False])
def test_q_starts_from_the_pool_that_is_named(tmp_path: Path, full: bool) -> None:
    write_shards(tmp_path / "whole-pool", 90, first=500)
    init = "pool_full" if full else "pool_diagonal"
    options = {"init": init, "pool": [str(tmp_path / "whole-pool")]}
    session = opened(small_config(tmp_path, objective={"kind": "noisy", "transition": options}))
    assert session.warnings == ()
    assert session.teacher is not None
    images = torch.stack([torch.from_numpy(bars(i))[None] for i in range(500, 590)])
    joint = joint_from_probabilities([session.teacher.logits(images)], CLASSES)
    transition = session.objective.transition
    assert transition is not None
    torch.testing.assert_close(
        transition(), start_from_joint(joint, full=full).float(), rtol=1e-3, atol=1e-5
    )


def test_without_a_pool_the_training_images_serve_and_a_warning_says_so(tmp_path: Path) -> None:
    session = opened(small_config(tmp_path, objective={"kind": "noisy"}))
    assert len(session.warnings) == 1
    assert "objective.transition.pool" in session.warnings[0]


def test_a_resumed_run_does_not_ask_the_teacher_about_the_pool_again(tmp_path: Path) -> None:
    missing: dict[str, Any] = {"pool": [str(tmp_path / "gone")]}
    config = small_config(tmp_path, objective={"kind": "noisy", "transition": missing})
    assert opened(config, state={}).objective.transition is not None


def test_only_a_learned_q_has_an_optimizer(tmp_path: Path) -> None:
    for mode, is_learned in (("frozen", False), ("off_diagonal", True), ("learned", True)):
        options = {"kind": "noisy", "transition": {"mode": mode, "init": "identity", "lr": 0.007}}
        session = opened(small_config(tmp_path, objective=options))
        assert (session.transition_optimizer is not None) == is_learned
        if session.transition_optimizer is not None:
            assert session.transition_optimizer.param_groups[0]["lr"] == 0.007


def test_classes_that_differ_from_the_teachers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"student\.num_classes is 7, but the teacher .* has 4"):
        opened(small_config(tmp_path, student={"num_classes": 7}))


def test_unlabelled_shards_are_refused_by_the_supervised_objective(tmp_path: Path) -> None:
    config = supervised(tmp_path, data={"train": [str(tmp_path / "pool")]})
    write_shards(tmp_path / "pool", 5)
    with pytest.raises(UsageError, match=r"no \.cls member"):
        opened(config)


def test_cuda_that_is_not_there_is_the_users_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == CPU
    with pytest.raises(UsageError, match="set device: cpu"):
        pick_device("cuda:1")
