"""students: accuracies side by side, and the class weights of the robust one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from selector.report.album import Album
from selector.report.panels.students import (
    draw_accuracy,
    draw_class_weights,
    gather_accuracy,
    gather_class_weights,
)
from selector.report.source import open_source
from selector.selection import select
from tests.support.runs import write_run


def card(top1: float | None, weights: list[float] | None) -> dict[str, Any]:
    metrics = {} if top1 is None else {"top1": top1, "top1_low": top1 - 0.01, "top1_high": 0.99}
    return {
        "metrics": {**metrics, **({} if top1 is None else {"teacher_top1": 0.987})},
        "data": {"images": 5120, "labelled_images": 120},
        "samples_seen": 153_600,
        "class_weights": weights and {"weights": weights, "images": [5] * len(weights)},
    }


def students(tmp_path: Path, cards: dict[str, dict[str, Any]]) -> list[str]:
    run = write_run(tmp_path / "run", num_shards=1)
    select(run.root, {"name": "top", "steps": [{"take": {"n": 7, "order": "noise_value"}}]})
    folders = []
    for name, content in cards.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text(json.dumps(content))
        folders.append(str(tmp_path / name))
    return folders


def test_accuracies_stand_beside_the_teachers(tmp_path: Path) -> None:
    folders = students(tmp_path, {"pu": card(0.95, None), "random": card(0.9, None)})
    with open_source(str(tmp_path / "run"), "top", students=folders) as source:
        found = gather_accuracy(source)
        assert gather_class_weights(source) is None
    assert found is not None
    html = draw_accuracy(found, Album())
    for text in ("pu", "random", "95\xa0%", "90\xa0%", "98.7\xa0%", "5,120", "120 labelled"):
        assert text in html


def test_class_weights_are_those_of_the_first_robust_student(tmp_path: Path) -> None:
    many = [0.0, 3.5] + [1.0] * 60
    folders = students(tmp_path, {"plain": card(None, None), "robust": card(None, many)})
    with open_source(str(tmp_path / "run"), "top", students=folders) as source:
        assert gather_accuracy(source) is None
        found = gather_class_weights(source)
    assert found is not None
    assert (found.student, found.names[0], found.weights[1]) == ("robust", "airplane", 3.5)
    html = draw_class_weights(found, Album())
    assert "dropped" in html
    assert html.index("airplane") < html.index("car")
    assert "22 lighter classes" in html


def test_a_student_that_still_trains_is_left_out(tmp_path: Path) -> None:
    folders = [*students(tmp_path, {"pu": card(0.95, None)}), str(tmp_path / "not-there")]
    with open_source(str(tmp_path / "run"), "top", students=folders) as source:
        found = gather_accuracy(source)
    assert found is not None
    assert [student.name for student in found] == ["pu"]
