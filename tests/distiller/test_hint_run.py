"""Runs with feature hints: beside every objective, killed and continued, and gone at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from distiller.config import load_config
from distiller.data.image_batch import ImageBatch
from distiller.inputs import open_inputs
from distiller.losses.kd import kd_loss
from distiller.metrics import read_metrics
from distiller.session import Session, open_session
from distiller.train_step import train_step
from distiller.trainer import distill
from shards.errors import UsageError
from tests.distiller.small_runs import small_config, supervised
from tests.distiller.test_trainer import whole_and_resumed

STAGES = ["pool1", "pool2", "relu3", "relu4"]


def session_for(folder: Path, **changes: Any) -> tuple[Session, ImageBatch]:
    inputs = open_inputs(small_config(folder, **changes), device=torch.device("cpu"), threads=1)
    session = open_session(inputs, state=None)
    (batch,) = session.train.images.batches([torch.arange(16)])
    return session, batch


@pytest.mark.parametrize(
    ("objective", "parts"),
    [
        ({"kind": "kd"}, {"kd"}),
        ({"kind": "pseudo_label"}, {"pseudo_label_ce"}),
        ({"kind": "noisy", "transition": {"init": "identity"}}, {"noisy_ce", "kd"}),
        ({"kind": "robust", "n_min": 0}, {"robust_kd", "class_kd", "kd"}),
    ],
)
def test_hints_join_every_objective_and_are_logged_by_name(
    tmp_path: Path, objective: dict[str, Any], parts: set[str]
) -> None:
    result = distill(small_config(tmp_path, steps=2, objective=objective, hints={"weight": 0.5}))
    (line,) = read_metrics(tmp_path / "out" / "metrics.jsonl")
    logged = {name[5:]: value for name, value in line.items() if name.startswith("loss_")}
    hints = [value for name, value in logged.items() if name.startswith("hint_")]
    assert logged.keys() == parts | {f"hint_{stage}" for stage in STAGES}
    if objective["kind"] == "kd":
        assert line["loss"] == pytest.approx(logged["kd"] + 0.5 * sum(hints), rel=1e-5)
    sizes = [[14, 14], [5, 5], [1, 1], [1, 1]]
    assert result.card["hints"] == [
        {"student": stage, "teacher": stage, "size": size}
        for stage, size in zip(STAGES, sizes, strict=True)
    ]


def test_labels_and_hints_are_what_fitnets_learned_from(tmp_path: Path) -> None:
    """Supervision asks no teacher for logits, but its features are there."""
    small_config(tmp_path)  # writes the teacher
    teacher = {
        "name": "lenet/5",
        "weights": str(tmp_path / "teacher.safetensors"),
        "num_classes": 4,
    }
    hints = {"student_taps": ["pool2"], "teacher_taps": ["pool2"]}
    distill(supervised(tmp_path, steps=30, teacher=teacher, hints=hints))
    lines = read_metrics(tmp_path / "out" / "metrics.jsonl")
    train = [line for line in lines if line["kind"] == "train"]
    assert {name for name in train[0] if name.startswith("loss_")} == {
        "loss_label_ce",
        "loss_hint_pool2",
    }
    assert train[-1]["loss_hint_pool2"] < 0.7 * train[0]["loss_hint_pool2"]
    assert train[-1]["loss_label_ce"] < train[0]["loss_label_ce"]


def outputs(network: nn.Module, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    found: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: found.update({name: out}))
        for name, module in network.named_modules()
    ]
    logits = network(x)
    for hook in hooks:
        hook.remove()
    return logits, found


def test_one_step_is_what_a_plain_loop_with_hooks_does_in_float64(tmp_path: Path) -> None:
    taps = {"student_taps": ["pool1", "pool2"], "teacher_taps": ["pool1", "pool2"]}
    session, batch = session_for(
        tmp_path,
        augment={"crop_padding": 0},
        optimizer={"momentum": 0.0},
        hints={**taps, "weight": 0.3},
    )
    teacher, hints = session.teacher, session.hints
    assert teacher is not None
    assert hints is not None
    network, loss_of = session.student.double(), hints.double()
    learned = [*network.parameters(), *loss_of.parameters()]
    inputs = (batch.images_BCSS.double() / 255 - 0.1307) / 0.3081
    logits, seen = outputs(network, inputs)
    with torch.no_grad():
        teacher_logits, shown = outputs(teacher.module.double(), inputs)
    loss = kd_loss(logits, teacher_logits, temperature=4.0)
    for place, tap in enumerate(["pool1", "pool2"]):
        error = loss_of.regressors[place](seen[tap]) - shown[tap]
        loss = loss + 0.3 * error.square().mean() / loss_of.scale_P[place]
    gradients = torch.autograd.grad(loss, learned)
    expected = [(p - 0.05 * g).float() for p, g in zip(learned, gradients, strict=True)]
    for module in (network, loss_of, teacher.module):
        module.float()
    values = train_step(session, batch, step=0, folder=tmp_path)
    assert values["loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    assert values["gradient_norm"] == pytest.approx(float(norm), rel=1e-4)
    found = [*session.student.parameters(), *hints.parameters()]
    torch.testing.assert_close([p.detach() for p in found], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_both_see_the_same_mix_of_images(tmp_path: Path, precision: str) -> None:
    session, batch = session_for(
        tmp_path,
        augment={"flip": True, "mix": {"mixup": 0.5, "cutmix": 0.5}},
        precision=precision,
        hints={},
    )
    seen: dict[str, Tensor] = {}
    assert session.with_maps is not None
    session.with_maps.register_forward_pre_hook(lambda _m, args: seen.update(student=args[0]))
    view = session.views(batch, step=3)
    values = train_step(session, batch, step=3, folder=tmp_path)
    assert torch.equal(session.preprocessing.normalize(view.images_BCSS), seen["student"])
    assert not torch.equal(view.images_BCSS, batch.images_BCSS)
    assert session.teacher is not None
    torch.testing.assert_close(
        view.teacher_logits_BC, session.teacher.logits(view.images_BCSS), rtol=1e-3, atol=1e-4
    )
    assert all(value > 0 for name, value in values.items() if name.startswith("loss_hint"))


def test_an_interrupted_run_continues_as_if_nothing_had_happened(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "hints": {},
        "log_every": 1,
        "average": {"decay": 0.9},
        "optimizer": {"kind": "adamw", "lr": 0.01, "clip_norm": 1.0},
    }
    whole, resumed = whole_and_resumed(tmp_path, changes)
    states = [
        torch.load(out / "checkpoints" / "step-00000012.pt", weights_only=True)
        for out in (resumed.out, whole.out)
    ]
    torch.testing.assert_close(states[0]["hints"], states[1]["hints"], rtol=0, atol=0)


def test_nothing_of_them_is_in_the_student_or_its_average(tmp_path: Path) -> None:
    result = distill(small_config(tmp_path, steps=3, hints={}, average={"decay": 0.5}))
    plain = distill(small_config(tmp_path, steps=3, out=str(tmp_path / "plain")))
    kept, usual = (safetensors.torch.load_file(r.student_weights) for r in (result, plain))
    assert kept.keys() == usual.keys()
    state = torch.load(result.out / "checkpoints" / "step-00000003.pt", weights_only=True)
    assert {name.removeprefix("module.") for name in state["average"]} == {*usual, "n_averaged"}
    assert len(state["hints"]) == 2 * len(STAGES) + 1


def test_attention_pulls_too_and_has_nothing_to_save(tmp_path: Path) -> None:
    hints = {"kind": "attention", "weight": 2.0}
    result = distill(small_config(tmp_path, steps=40, log_every=8, hints=hints))
    lines = read_metrics(result.out / "metrics.jsonl")
    assert lines[-1]["loss_attention_pool1"] < 0.7 * lines[0]["loss_attention_pool1"]
    assert "loss_attention_relu3" not in lines[0]  # one position attends to itself
    state = torch.load(result.out / "checkpoints" / "step-00000040.pt", weights_only=True)
    assert list(state["hints"]) == ["scale_P"]


def test_a_stored_target_has_no_features(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a store of targets holds the teacher's logits and not"):
        small_config(tmp_path, hints={}, targets={"folder": str(tmp_path / "store")})


def test_hints_need_a_teacher(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="hints need a teacher; give one, or leave hints out"):
        supervised(tmp_path, hints={})
    config = small_config(tmp_path).model_dump(mode="json")
    config["hints"] = {"wieght": 2}
    with pytest.raises(UsageError, match=r"hints\.wieght: unknown key; did you mean 'weight'"):
        load_config(config)


def test_a_run_with_hints_is_another_run(tmp_path: Path) -> None:
    distill(small_config(tmp_path, steps=2))
    with pytest.raises(UsageError, match=r"hints\.kind: None there, 'regression' now"):
        distill(small_config(tmp_path, steps=2, hints={}))
