"""Panels of trained students: their accuracy side by side, and the class weights they had."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from selector.report.album import Album
from selector.report.figures import single_bar
from selector.report.panel import Panel
from selector.report.source import Source
from selector.report.template import fill

MAX_CLASSES = 40


@dataclass(frozen=True)
class Student:
    """One folder of `coursepack distill`: its name and its card."""

    name: str
    card: dict[str, Any]


@dataclass(frozen=True)
class ClassWeights:
    """Of one student: name, and per class its images by the teacher's decision and its weight."""

    student: str
    names: tuple[str, ...]
    images: tuple[int, ...]
    weights: tuple[float, ...]


def _students(source: Source) -> list[Student]:
    """Finished students among the folders given; one that still trains has no card."""
    found = []
    for folder in source.students:
        path = Path(folder, "card.json")
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        found.append(Student(Path(folder).name, card))
    return found


def gather_accuracy(source: Source) -> list[Student] | None:
    """Students that were measured on labelled images; None if none was."""
    measured = [student for student in _students(source) if "top1" in student.card["metrics"]]
    return measured or None


def draw_accuracy(students: list[Student], _: Album) -> Markup:
    """A row per student, the teacher on top; the last step counts."""
    rows = [_row(student) for student in students]
    teacher = next(
        (
            s.card["metrics"]["teacher_top1"]
            for s in students
            if "teacher_top1" in s.card["metrics"]
        ),
        None,
    )
    return fill("panels/accuracy.html", rows=rows, teacher=teacher, bar=single_bar)


def _row(student: Student) -> dict[str, Any]:
    metrics, data = student.card["metrics"], student.card["data"]
    return {
        "name": student.name,
        "images": data["images"],
        "labelled": data.get("labelled_images", 0),
        "samples_seen": student.card["samples_seen"],
        "top1": metrics["top1"],
        "low": metrics["top1_low"],
        "high": metrics["top1_high"],
        "worst": metrics.get("worst_class_accuracy"),
    }


def gather_class_weights(source: Source) -> ClassWeights | None:
    """Of the first student that was trained with class weights."""
    for student in _students(source):
        weights = student.card.get("class_weights")
        if weights:
            num = len(weights["weights"])
            return ClassWeights(
                student.name,
                tuple(_class_name(source, k) for k in range(num)),
                tuple(weights["images"]),
                tuple(weights["weights"]),
            )
    return None


def _class_name(source: Source, k: int) -> str:
    """A class that no image of the pool has may lie beyond the names of the page."""
    names = source.facts.class_names
    return names[k] if k < len(names) else str(k)


def draw_class_weights(found: ClassWeights, _: Album) -> Markup:
    """A row per class; of many classes the heaviest and those without weight."""
    order = sorted(range(len(found.names)), key=lambda k: (found.weights[k] > 0, -found.weights[k]))
    shown = range(len(found.names)) if len(order) <= MAX_CLASSES else order[:MAX_CLASSES]
    largest = max(found.weights, default=1.0)
    rows = [(found.names[k], found.images[k], found.weights[k]) for k in shown]
    return fill(
        "panels/class_weights.html",
        student=found.student,
        rows=rows,
        num_hidden=len(order) - len(rows),
        largest=largest,
        bar=single_bar,
    )


ACCURACY = Panel("accuracy", "Accuracy", gather_accuracy, draw_accuracy)
CLASS_WEIGHTS = Panel("class-weights", "Class weights", gather_class_weights, draw_class_weights)
