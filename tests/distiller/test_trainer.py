from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from distiller.divergence import DivergedError
from distiller.metrics import read_metrics
from distiller.trainer import DistillResult, Event, distill
from selector.teachers.load import TeacherSpec, load_teacher
from shards.errors import CoursepackError, UsageError
from tests.distiller.small_runs import small_config, supervised, untimed_card, untimed_metrics
from tests.distiller.small_sets import CLASSES, bars, write_shards


class StopAt(Exception):
    """Raised from the event callback, in place of a Ctrl-C at a known moment."""


def interrupted_at(step: int, kind: str = "train") -> Any:
    def on_event(event: Event) -> None:
        if event.kind == kind and event.step == step:
            raise StopAt

    return on_event


def whole_and_resumed(folder: Path, changes: dict[str, Any]) -> tuple[DistillResult, DistillResult]:
    """A run, and the same one stopped before step 8 and continued; they tell and are the same."""
    whole = distill(small_config(folder, **changes, out=str(folder / "whole")))
    config = small_config(folder, **changes)
    with pytest.raises(StopAt):
        distill(config, on_event=interrupted_at(8))
    resumed = distill(config)
    assert weights(resumed) == weights(whole)
    assert untimed_metrics(resumed.out) == untimed_metrics(whole.out)
    assert untimed_card(resumed.out) == untimed_card(whole.out)
    return whole, resumed


def weights(result: DistillResult) -> bytes:
    return result.student_weights.read_bytes()


def test_the_loss_falls_and_the_student_follows_the_teacher(tmp_path: Path) -> None:
    distill(small_config(tmp_path, steps=80, log_every=10, objective={"temperature": 2.0}))
    lines = read_metrics(tmp_path / "out" / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(10, 81, 10))
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    assert lines[-1]["agreement"] > lines[0]["agreement"]


def test_supervised_training_learns_the_classes(tmp_path: Path) -> None:
    """The path on which a teacher is made from labelled shards."""
    result = distill(supervised(tmp_path, steps=60, batch_size=32, optimizer={"lr": 0.02}))
    assert result.metrics["n"] == 80
    assert result.metrics["top1"] > 0.9
    assert result.metrics["top1_low"] < result.metrics["top1"] < 1.0001
    assert result.card["teacher"] is None


@pytest.mark.parametrize(
    ("objective", "parts"),
    [
        ({"kind": "kd"}, {"kd"}),
        ({"kind": "pseudo_label"}, {"pseudo_label_ce"}),
        ({"kind": "pseudo_label", "kd_weight": 1.0}, {"pseudo_label_ce", "kd"}),
        ({"kind": "noisy"}, {"noisy_ce", "kd"}),
        ({"kind": "noisy", "transition": {"mode": "none"}}, {"pseudo_label_ce", "kd"}),
        ({"kind": "noisy", "transition": {"mode": "frozen"}}, {"noisy_ce", "kd"}),
        ({"kind": "noisy", "transition": {"mode": "off_diagonal"}}, {"noisy_ce", "kd"}),
        ({"kind": "noisy", "transition": {"init": "identity"}}, {"noisy_ce", "kd"}),
        ({"kind": "noisy", "transition": {"init": "pool_full"}}, {"noisy_ce", "kd"}),
        (
            {"kind": "noisy", "transition": {"init": "accuracies", "accuracies": 0.9}},
            {"noisy_ce", "kd"},
        ),
    ],
)
def test_every_objective_trains_and_logs_its_parts(
    tmp_path: Path, objective: dict[str, Any], parts: set[str]
) -> None:
    result = distill(small_config(tmp_path, steps=2, objective=objective))
    (line,) = read_metrics(tmp_path / "out" / "metrics.jsonl")
    assert {name[5:] for name in line if name.startswith("loss_")} == parts
    mode = objective.get("transition", {}).get("mode", "learned")
    path = result.out / "transition.safetensors"
    if objective["kind"] != "noisy" or mode == "none":
        assert not path.exists()
        return
    q = safetensors.torch.load_file(path)
    torch.testing.assert_close(q["end"].sum(dim=0), torch.ones(CLASSES))
    assert torch.equal(q["start"], q["end"]) == (mode == "frozen")
    unchanged = torch.equal(q["start"].diagonal(), q["end"].diagonal())
    assert unchanged == (mode in ("frozen", "off_diagonal"))


def test_equal_configurations_give_equal_bytes(tmp_path: Path) -> None:
    noisy = {"kind": "noisy", "transition": {"init": "pool_full"}}
    first = distill(small_config(tmp_path, objective=noisy, out=str(tmp_path / "a")))
    again = distill(small_config(tmp_path, objective=noisy, out=str(tmp_path / "b")))
    other = distill(small_config(tmp_path, objective=noisy, out=str(tmp_path / "c"), seed=1))
    assert weights(first) == weights(again)
    assert weights(first) != weights(other)
    assert untimed_card(tmp_path / "a") == untimed_card(tmp_path / "b")


def test_the_memory_budget_changes_no_bit(tmp_path: Path) -> None:
    broken = {7: b"text", 30: b"text"}
    write_shards(tmp_path / "damaged", 60, replace=broken, per_shard=25)
    results = [
        distill(
            small_config(
                tmp_path,
                data={"train": [str(tmp_path / "damaged")], "memory_bytes": memory_bytes},
                out=str(tmp_path / f"out-{memory_bytes}"),
            )
        )
        for memory_bytes in (0, 1 << 30)
    ]
    assert weights(results[0]) == weights(results[1])
    assert [r.card["data"]["unusable"] for r in results] == [{"undecodable": 2}] * 2


@pytest.mark.parametrize("stop", [1, 5, 7, 12])
def test_an_interrupted_run_continues_as_if_nothing_had_happened(tmp_path: Path, stop: int) -> None:
    """Stops before the first checkpoint, at one, between two, and after the last step."""
    noisy = {"kind": "noisy", "transition": {"init": "identity"}}
    changes = {"objective": noisy, "log_every": 1, "schedule": {"kind": "cosine"}}
    whole = distill(small_config(tmp_path, **changes, out=str(tmp_path / "whole")))
    config = small_config(tmp_path, **changes)
    with pytest.raises(StopAt):
        distill(config, on_event=interrupted_at(stop))
    starts: list[int] = []
    resumed = distill(
        config, on_event=lambda e: starts.append(e.step) if e.kind == "start" else None
    )
    assert starts == [stop - 1 - (stop - 1) % 5]
    assert weights(resumed) == weights(whole)
    assert untimed_metrics(resumed.out) == untimed_metrics(whole.out)
    assert untimed_card(resumed.out) == untimed_card(whole.out)
    q = [(r.out / "transition.safetensors").read_bytes() for r in (resumed, whole)]
    assert q[0] == q[1]


def test_a_run_stopped_between_the_last_checkpoint_and_its_card_only_finishes(
    tmp_path: Path,
) -> None:
    config = supervised(tmp_path, steps=6, eval_every=3)
    with pytest.raises(StopAt):
        distill(config, on_event=interrupted_at(6, "checkpoint"))
    before = untimed_metrics(tmp_path / "out")
    events: list[str] = []
    result = distill(config, on_event=lambda e: events.append(e.kind))
    assert untimed_metrics(tmp_path / "out") == before
    assert "train" not in events
    assert result.metrics["n"] == 80


def test_a_finished_run_is_returned_and_not_repeated(tmp_path: Path) -> None:
    config = small_config(tmp_path)
    first = distill(config)
    stamp = first.student_weights.stat().st_mtime_ns
    again = distill(config)
    assert again.metrics == first.metrics
    assert again.student_weights.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("finished", [True, False])
def test_another_configuration_is_refused_with_the_difference(
    tmp_path: Path, finished: bool
) -> None:
    if finished:
        distill(small_config(tmp_path))
    else:
        with pytest.raises(StopAt):
            distill(small_config(tmp_path), on_event=interrupted_at(8))
    with pytest.raises(UsageError, match=r"optimizer\.lr: 0\.05 there, 0\.01 now"):
        distill(small_config(tmp_path, optimizer={"lr": 0.01}))
    write_shards(tmp_path / "pool", 60, per_shard=26)
    with pytest.raises(UsageError, match="training data fingerprint"):
        distill(small_config(tmp_path))


def test_a_loss_that_is_not_finite_stops_before_it_reaches_the_weights(tmp_path: Path) -> None:
    config = small_config(tmp_path, optimizer={"lr": 1e20}, checkpoint_every=1)
    with pytest.raises(DivergedError, match=r"step \d+: the loss is (nan|inf)") as error:
        distill(config)
    (evidence,) = (tmp_path / "out").glob("diverged-*.safetensors")
    assert str(evidence) in str(error.value)
    step = int(evidence.stem.split("-")[1])
    batch = safetensors.torch.load_file(evidence)
    assert batch["views"].shape == (16, 1, 32, 32)
    assert batch.keys() == {"indices", "views", "student_logits", "teacher_logits"}
    assert not (tmp_path / "out" / "card.json").exists()
    newest = sorted((tmp_path / "out" / "checkpoints").iterdir())[-1]
    assert newest.name == f"step-{step:08d}.pt"  # the updates before it, and no more


def test_evaluation_counts_each_decodable_image_once(tmp_path: Path) -> None:
    write_shards(tmp_path / "test", 41, labelled=True, first=1000, replace={1003: b"text"})
    write_shards(tmp_path / "labelled", 40, labelled=True)
    result = distill(supervised(tmp_path, steps=4, eval_every=2))
    evals = [r for r in read_metrics(tmp_path / "out" / "metrics.jsonl") if r["kind"] == "eval"]
    assert [(r["step"], r["n"]) for r in evals] == [(2, 40), (4, 40)]
    assert result.metrics["top1"] == evals[-1]["top1"]


def test_with_a_teacher_the_last_evaluation_compares_with_it(tmp_path: Path) -> None:
    write_shards(tmp_path / "test", 40, labelled=True, first=1000)
    result = distill(small_config(tmp_path, steps=2, data={"eval": [str(tmp_path / "test")]}))
    assert 0 <= result.metrics["teacher_top1"] <= 1
    assert 0 <= result.metrics["agreement"] <= 1


def test_the_student_can_teach(tmp_path: Path) -> None:
    result = distill(small_config(tmp_path))
    spec = TeacherSpec(
        name=result.card["student"]["name"],
        weights=str(result.student_weights),
        preprocessing=result.card["student"]["preprocessing"],
    )
    teacher = load_teacher(spec)
    assert teacher.num_classes == CLASSES
    images = torch.from_numpy(bars(0))[None, None]
    assert teacher.logits(images).shape == (1, CLASSES)


def test_the_card_tells_where_the_student_comes_from(tmp_path: Path) -> None:
    config = small_config(tmp_path, objective={"kind": "noisy"})
    result = distill(config)
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card == result.card
    assert card["samples_seen"] == 12 * 16
    assert card["data"]["images"] == 60
    assert len(card["teacher"]["fingerprint"]) == 64
    assert card["config"] == config.model_dump(mode="json")
    assert any("objective.transition.pool is not given" in w for w in card["warnings"])
    assert card["versions"]["torch"] == torch.__version__


def test_events_tell_what_happens(tmp_path: Path) -> None:
    events: list[Event] = []
    distill(small_config(tmp_path, objective={"kind": "noisy"}), on_event=events.append)
    kinds = [event.kind for event in events]
    assert kinds[:4] == ["loading", "loading", "warning", "start"]
    assert kinds[-1] == "done"
    assert [e.step for e in events if e.kind == "train"] == [4, 8, 12]
    assert [e.step for e in events if e.kind == "checkpoint"] == [5, 10, 12]
    assert all(event.steps == 12 for event in events)


def test_torchs_global_state_is_left_as_it_was(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    distill(small_config(tmp_path, steps=2, threads=threads + 1))
    assert torch.equal(torch.rand(2), expected)
    assert torch.get_num_threads() == threads


def test_no_checkpoint_that_can_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(StopAt):
        distill(small_config(tmp_path), on_event=interrupted_at(8))
    for path in (tmp_path / "out" / "checkpoints").iterdir():
        path.write_bytes(b"")
    with pytest.raises(CoursepackError, match="no checkpoint can be read"):
        distill(small_config(tmp_path))
