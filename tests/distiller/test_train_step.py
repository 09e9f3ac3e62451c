from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distiller.data.image_batch import ImageBatch
from distiller.divergence import DivergedError
from distiller.inputs import open_inputs
from distiller.losses.kd import kd_loss
from distiller.optimizer import OptimizerOptions, build_optimizer, learning_rate
from distiller.session import Session, open_session
from distiller.train_step import train_step
from distiller.views import FreshViews
from tests.distiller.small_runs import small_config
from tests.distiller.small_sets import CLASSES


def session_for(folder: Path, **changes: Any) -> Session:
    config = small_config(folder, **changes)
    inputs = open_inputs(config, device=torch.device("cpu"), threads=1)
    return open_session(inputs, state=None)


def first_batch(session: Session) -> ImageBatch:
    (batch,) = session.train.images.batches([torch.arange(16)])
    return batch


def test_teacher_and_student_see_the_same_view(tmp_path: Path) -> None:
    session = session_for(tmp_path, augment={"flip": True, "affine": {"degrees": 15}})
    seen: dict[str, Tensor] = {}

    class Spy:
        name = "spy"

        def __call__(self, batch_NCHW: Tensor) -> Tensor:
            seen["teacher"] = batch_NCHW
            assert session.teacher is not None
            return session.teacher.logits(batch_NCHW)

    session.student.register_forward_pre_hook(lambda _, args: seen.update(student=args[0]))
    batch = first_batch(session)
    views = FreshViews(session.config.augment, seed=0, run_teacher=Spy())
    train_step(replace(session, views=views), batch, step=0, folder=tmp_path)
    assert torch.equal(session.preprocessing.normalize(seen["teacher"]), seen["student"])
    assert not torch.equal(seen["teacher"], batch.images_BCSS)


def test_one_step_is_what_a_plain_loop_does(tmp_path: Path) -> None:
    """Without augmentation: normalise, both forward passes, KD, plain SGD."""
    session = session_for(tmp_path, augment={"crop_padding": 0}, optimizer={"momentum": 0.0})
    batch, teacher = first_batch(session), session.teacher
    assert teacher is not None
    before = {name: p.detach().clone() for name, p in session.student.named_parameters()}
    inputs = (batch.images_BCSS.float() / 255 - 0.1307) / 0.3081
    loss = kd_loss(session.student(inputs), teacher.module(inputs), temperature=4.0)
    gradients = torch.autograd.grad(loss, list(session.student.parameters()))
    values = train_step(session, batch, step=0, folder=tmp_path)
    assert values["loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    assert values["loss_kd"] == values["loss"]
    for (name, parameter), gradient in zip(
        session.student.named_parameters(), gradients, strict=True
    ):
        torch.testing.assert_close(
            parameter.detach(), before[name] - 0.05 * gradient, rtol=1e-4, atol=1e-6
        )


def test_the_rate_follows_the_schedule(tmp_path: Path) -> None:
    session = session_for(tmp_path, schedule={"kind": "step", "milestones": [6]})
    batch = first_batch(session)
    rates = []
    for step in (0, 5, 6, 11):
        train_step(session, batch, step=step, folder=tmp_path)
        rates.append(learning_rate(session.optimizer))
    assert rates == pytest.approx([0.05, 0.05, 0.005, 0.005])


def test_weights_belong_to_the_images_and_not_to_their_place_in_the_batch(tmp_path: Path) -> None:
    losses = []
    for order in (torch.arange(16), torch.arange(15, -1, -1)):
        session = session_for(tmp_path, augment={"crop_padding": 0})
        weights = torch.linspace(0, 2, 60)
        session = replace(session, train=replace(session.train, weights_N=weights))
        (batch,) = session.train.images.batches([order])
        losses.append(train_step(session, batch, step=0, folder=tmp_path)["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_dropout_is_a_function_of_the_seed_and_the_step(tmp_path: Path) -> None:
    session = session_for(tmp_path, augment={"crop_padding": 0})
    batch = first_batch(session)

    def outputs(step: int, junk: int) -> Tensor:
        torch.manual_seed(junk)  # what ran before must not matter
        with torch.random.fork_rng():
            torch.manual_seed(0)
            student = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(1024, CLASSES))
        seen: list[Tensor] = []
        student.register_forward_hook(lambda _, args, out: seen.append(out.detach()))
        optimizer = build_optimizer(student.parameters(), OptimizerOptions())
        one = replace(session, student=student, optimizer=optimizer)
        train_step(one, batch, step=step, folder=tmp_path)
        return seen[0]

    with torch.random.fork_rng():
        assert torch.equal(outputs(3, junk=1), outputs(3, junk=2))
        assert not torch.equal(outputs(3, junk=1), outputs(4, junk=1))


def test_a_gradient_that_is_not_finite_changes_no_weight(tmp_path: Path) -> None:
    """The loss is finite, its derivative is not: sqrt at 0."""
    session = session_for(tmp_path, augment={"crop_padding": 0})
    before = {name: p.detach().clone() for name, p in session.student.named_parameters()}
    flat = nn.Module()
    flat.forward = lambda x: session.student(x) + 0 * (0 * session.student(x)).abs().sqrt()  # type: ignore[method-assign]
    flat.add_module("inner", session.student)
    with pytest.raises(DivergedError, match="norm of its gradient nan"):
        train_step(replace(session, student=flat), first_batch(session), step=0, folder=tmp_path)
    assert (tmp_path / "diverged-00000000.safetensors").exists()
    for name, parameter in session.student.named_parameters():
        assert torch.equal(parameter.detach(), before[name])


def test_long_gradients_are_clipped(tmp_path: Path) -> None:
    moves = {}
    for limit in (None, 1e-3):
        changes = {"momentum": 0.0, "lr": 0.5, "clip_norm": limit}
        session = session_for(tmp_path, augment={"crop_padding": 0}, optimizer=changes)
        before = [p.detach().clone() for p in session.student.parameters()]
        values = train_step(session, first_batch(session), step=0, folder=tmp_path)
        after = session.student.parameters()
        moved = [(p.detach() - b).square().sum() for p, b in zip(after, before, strict=True)]
        moves[limit] = float(sum(moved).sqrt()) / 0.5  # type: ignore[union-attr]
        assert values["gradient_norm"] > 1e-2
    assert moves[None] == pytest.approx(values["gradient_norm"], rel=1e-3)
    assert moves[1e-3] == pytest.approx(1e-3, rel=1e-2)


def test_bf16_is_close_and_its_losses_are_float32(tmp_path: Path) -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        session = session_for(tmp_path, augment={"crop_padding": 0}, precision=precision)
        losses[precision] = train_step(session, first_batch(session), step=0, folder=tmp_path)
        assert all(p.dtype == torch.float32 for p in session.student.parameters())
    assert losses["bf16"]["loss"] == pytest.approx(losses["fp32"]["loss"], rel=0.05)
    assert losses["bf16"]["loss"] != losses["fp32"]["loss"]
