"""Whole runs with the robust objective, and with labelled images beside the selected ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distiller.metrics import read_metrics
from distiller.trainer import distill
from selector.teachers.load import TeacherSpec, load_teacher
from shards.errors import UsageError
from tests.distiller.small_runs import small_config
from tests.distiller.small_sets import CLASSES, bars, write_shards
from tests.distiller.test_trainer import whole_and_resumed

ROBUST: dict[str, Any] = {"kind": "robust", "n_min": 1, "eps": 0.3}


def labelled(tmp_path: Path) -> list[str]:
    return [write_shards(tmp_path / "few", 12, labelled=True, first=5000)]


def teacher_probabilities(tmp_path: Path, images: range) -> torch.Tensor:
    spec = TeacherSpec(
        name="lenet/5", weights=str(tmp_path / "teacher.safetensors"), num_classes=CLASSES
    )
    stack = torch.from_numpy(np.stack([bars(i) for i in images]))[:, None]
    return torch.softmax(load_teacher(spec).logits(stack).double(), dim=1)


@pytest.mark.parametrize("adversary", ["none", "sampled", "worst_case", "paper"])
def test_every_adversary_trains_and_logs_what_it_did(tmp_path: Path, adversary: str) -> None:
    objective = {**ROBUST, "adversary": adversary}
    distill(small_config(tmp_path, steps=4, log_every=4, objective=objective))
    (line,) = read_metrics(tmp_path / "out" / "metrics.jsonl")
    assert line["loss"] == line["loss_robust_kd"]
    if adversary == "none":
        assert line["loss_robust_kd"] == pytest.approx(line["loss_class_kd"])
    wins = [line[name] for name in line if name.startswith("win_")]
    assert len(wins) == {"sampled": 4, "paper": 2}.get(adversary, 0)
    assert not wins or sum(wins) == pytest.approx(1)
    assert adversary != "paper" or line["win_1"] == 1
    assert line["worst_class_kd"] >= max(line[f"class_kd_{k}"] for k in range(CLASSES)) - 1e-9


def test_class_weights_come_from_the_teacher_on_the_training_set(tmp_path: Path) -> None:
    card = distill(small_config(tmp_path, steps=1, objective=ROBUST)).card
    p_NC = teacher_probabilities(tmp_path, range(60))
    facts = card["class_weights"]
    assert facts["soft_mass"] == pytest.approx(p_NC.sum(dim=0).tolist(), abs=2e-3)
    assert facts["images"] == p_NC.argmax(dim=1).bincount(minlength=CLASSES).tolist()
    mean = sum(w * n for w, n in zip(facts["weights"], facts["images"], strict=True)) / 60
    assert mean == pytest.approx(1, abs=1e-4)


def test_dropped_classes_are_named(tmp_path: Path) -> None:
    config = small_config(tmp_path, steps=1)
    images = teacher_probabilities(tmp_path, range(60)).argmax(dim=1).bincount(minlength=CLASSES)
    n_min = int(images.max())
    (tmp_path / "names.txt").write_text("".join(f"lean-{k}\n" for k in range(CLASSES)))
    result = distill(
        small_config(
            tmp_path,
            steps=1,
            objective={**ROBUST, "n_min": n_min},
            teacher={"class_names": str(tmp_path / "names.txt")},
        )
    )
    dropped = [k for k in range(CLASSES) if images[k] < n_min]
    assert config.steps == 1
    assert dropped
    assert result.card["class_weights"]["dropped"] == dropped
    (warning,) = result.card["warnings"]
    assert f"{dropped[0]} (lean-{dropped[0]}): {int(images[dropped[0]])}" in warning
    with pytest.raises(UsageError, match=r"lower objective\.n_min"):
        distill(small_config(tmp_path, out=str(tmp_path / "b"), objective={**ROBUST, "n_min": 61}))


@pytest.mark.parametrize("adversary", ["none", "sampled", "worst_case"])
def test_a_class_that_nobody_selected_is_named_and_the_others_are_learned(
    tmp_path: Path, adversary: str
) -> None:
    small_config(tmp_path)  # writes the teacher
    decided_N = teacher_probabilities(tmp_path, range(120)).argmax(dim=1)
    counts = decided_N.bincount(minlength=CLASSES).tolist()
    empty = {k for k in range(CLASSES) if counts[k] == 0}  # the teacher never says them
    lost = min(set(range(CLASSES)) - empty, key=counts.__getitem__)
    for number in torch.nonzero(decided_N != lost).flatten().tolist():
        write_shards(tmp_path / f"selected/{number:03d}", 1, first=number)
    shards = sorted(str(folder) for folder in (tmp_path / "selected").iterdir())
    objective = {**ROBUST, "adversary": adversary}
    card = distill(
        small_config(tmp_path, steps=6, objective=objective, data={"train": shards})
    ).card
    facts = card["class_weights"]
    assert facts["images"][lost] == 0
    assert set(facts["dropped"]) == empty | {lost}
    weightless = {k for k, weight in enumerate(facts["weights"]) if weight == 0}
    assert weightless == empty | {lost}
    assert f"{lost}: 0" in card["warnings"][0]
    logged = read_metrics(tmp_path / "out" / "metrics.jsonl")
    assert all(np.isfinite(line["loss"]) for line in logged if "loss" in line)


@pytest.mark.parametrize(
    "objective",
    [
        {**ROBUST, "adversary": "sampled"},
        {**ROBUST, "adversary": "sampled", "redraw": True},
        {**ROBUST, "adversary": "worst_case"},
    ],
)
def test_an_interrupted_robust_run_continues_as_if_nothing_had_happened(
    tmp_path: Path, objective: dict[str, Any]
) -> None:
    changes: dict[str, Any] = {
        "objective": objective,
        "log_every": 1,
        "data": {"labelled": labelled(tmp_path), "labelled_share": 0.3, "labelled_ce": 1.0},
    }
    whole_and_resumed(tmp_path, changes)


def test_labelled_images_join_in_their_natural_share(tmp_path: Path) -> None:
    """As if their shards stood in data.train."""
    joined = {"data": {"labelled": labelled(tmp_path)}, "objective": ROBUST}
    result = distill(small_config(tmp_path, **joined, steps=1))
    data = result.card["data"]
    assert (data["images"], data["labelled_images"]) == (72, 12)
    assert sum(result.card["class_weights"]["images"]) == 72
    both = torch.cat([teacher_probabilities(tmp_path, r) for r in (range(60), range(5000, 5012))])
    mass = result.card["class_weights"]["soft_mass"]
    assert mass == pytest.approx(both.sum(dim=0).tolist(), abs=2e-3)
    (line,) = read_metrics(tmp_path / "out" / "metrics.jsonl")
    assert "loss_label_ce" not in line


def test_class_weights_count_an_image_as_often_as_it_is_seen(tmp_path: Path) -> None:
    data = {"labelled": labelled(tmp_path), "labelled_share": 0.5}
    card = distill(small_config(tmp_path, steps=1, objective=ROBUST, data=data)).card
    pool, few = (
        teacher_probabilities(tmp_path, r).mean(dim=0) for r in (range(60), range(5000, 5012))
    )
    expected = 72 * (0.5 * pool + 0.5 * few)
    assert card["class_weights"]["soft_mass"] == pytest.approx(expected.tolist(), abs=2e-3)


@pytest.mark.parametrize("kind", ["kd", "robust"])
def test_known_labels_pull_the_student_where_they_are_used(tmp_path: Path, kind: str) -> None:
    """A teacher of random weights knows nothing: only the labels of the few can be learned."""
    few = labelled(tmp_path)
    test = [write_shards(tmp_path / "test", 60, labelled=True, first=7000)]
    objective = {"kind": kind, **({} if kind == "kd" else {"n_min": 0})}
    top1 = {}
    for labelled_ce in (None, 20.0):
        data = {"labelled": few, "labelled_share": 0.5, "labelled_ce": labelled_ce, "eval": test}
        result = distill(
            small_config(
                tmp_path,
                steps=60,
                batch_size=32,
                optimizer={"lr": 0.01},
                objective=objective,
                data=data,
                out=str(tmp_path / f"out-{labelled_ce}"),
            )
        )
        top1[labelled_ce] = result.metrics["top1"]
        assert ("train_loss_label_ce" in result.metrics) == (labelled_ce is not None)
    assert top1[20.0] > top1[None] + 0.2


def test_wrong_use_of_labelled_images_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"labelled_ce is given, but no labelled shards"):
        small_config(tmp_path, data={"labelled_ce": 1.0})
    with pytest.raises(UsageError, match=r"list those shards in data\.train"):
        small_config(
            tmp_path,
            teacher=None,
            student={"num_classes": 4},
            data={"labelled": ["x"]},
            objective={"kind": "supervised"},
        )
    unlabelled = [write_shards(tmp_path / "no-labels", 4)]
    with pytest.raises(UsageError, match=r"no \.cls member"):
        distill(small_config(tmp_path, data={"labelled": unlabelled, "labelled_ce": 1.0}))


def test_other_labelled_images_are_another_run(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"data": {"labelled": labelled(tmp_path)}, "steps": 2}
    distill(small_config(tmp_path, **changes))
    write_shards(tmp_path / "few", 13, labelled=True, first=5000)
    with pytest.raises(UsageError, match="training data fingerprint"):
        distill(small_config(tmp_path, **changes))
