"""Which figures a table has: file name -> caption and drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.domain_share import CIFAR10_NAMES
from benchmarks.results_page.charts import bars, grid, lines
from benchmarks.results_page.rows import Result, Section

CLASS_NAMES: dict[int, Sequence[str]] = {10: CIFAR10_NAMES}
"""Of the tracks that are shown, by number of classes; beyond twenty classes no grid is drawn."""

SHOWN_Q = ("q_identity", "q_learned", "q_full")

Figures = dict[str, tuple[str, str]]


def figures_of(section: Section) -> Figures:
    """Only what results are there for."""
    table, track = section.table.name, section.track
    found: Figures = {}
    drawing = bars(section)
    if drawing is not None:
        found[f"{track}_{table}.svg"] = f"{section.table.title}: {section.setting}", drawing
    if table == "number_selected":
        series = {
            kind: [one for one in section.results if one.arm.name.startswith(kind)]
            for kind in ("quota", "random")
        }
        caption = f"Accuracy against the number of images selected: {section.setting}"
        drawing = lines(series, label=caption)
        if drawing is not None:
            found[f"{track}_number_selected_curve.svg"] = caption, drawing
    if table in ("dfnd", "pu"):
        found |= _of_classes(section)
    if table == "transition":
        found |= _of_transition(section)
    return found


def figures_of_selections(found_lines: Sequence[Mapping[str, Any]]) -> Figures:
    """How many of each selection's images truly are of the class that the teacher sees."""
    if not found_lines:
        return {}
    caption = f"Share that truly is of the class, %: {found_lines[0]['setting']}"
    shares = [[one["right"] for one in line["classes"]] for line in found_lines]
    return {
        f"{found_lines[0]['track']}_truth.svg": (
            caption,
            grid(
                shares,
                rows=[line["selection"] for line in found_lines],
                columns=[one["name"] for one in found_lines[0]["classes"]],
                written=[[f"{100 * share:.0f}" for share in row] for row in shares],
                label=caption,
                note="of the images that the teacher calls a class, per cent that are of it",
                largest=1.0,
            ),
        )
    }


def _of_classes(section: Section) -> Figures:
    """Accuracy of every class, and how many images of it a selection holds."""
    found: Figures = {}
    track, table = section.track, section.table.name
    drawn = (
        (
            "per_class",
            "classes",
            "Accuracy of every class, %",
            100,
            "accuracy of each class in per cent, mean over seeds",
            1.0,
        ),
        (
            "class_counts",
            "balance",
            "Class balance of the selections",
            1,
            "images of each class by the teacher's decision, mean over seeds",
            None,
        ),
    )
    for field, name, title, unit, note, largest in drawn:
        means = {one.arm.title: one.mean_of(field) for one in section.results}
        known = {arm: values for arm, values in means.items() if values is not None}
        if not known or len(names := _names(known)) > 20:
            continue
        caption = f"{title}: {section.setting}"
        found[f"{track}_{table}_{name}.svg"] = (
            caption,
            grid(
                list(known.values()),
                rows=list(known),
                columns=names,
                written=[[f"{unit * value:,.0f}" for value in row] for row in known.values()],
                label=caption,
                note=note,
                largest=largest,
            ),
        )
    return found


def _of_transition(section: Section) -> Figures:
    """Q of the first seed before and after training."""
    found: Figures = {}
    for result in section.results:
        matrices = _transition(result) if result.arm.name in SHOWN_Q else None
        for when, matrix in (matrices or {}).items():
            if len(matrix) > 20:
                continue
            names = CLASS_NAMES.get(len(matrix), [str(k) for k in range(len(matrix))])
            caption = f"Q {when} of training, {result.arm.title}: {section.setting}"
            found[f"{section.track}_{result.arm.name}_{when}.svg"] = (
                caption,
                grid(
                    matrix,
                    rows=names,
                    columns=names,
                    written=[[f"{100 * value:.1f}" for value in row] for row in matrix],
                    label=caption,
                    note="P(pseudo-label = row | true class = column), %; columns sum to 100",
                    largest=1.0,
                ),
            )
    return found


def _transition(result: Result) -> dict[str, list[list[float]]] | None:
    return result.rows[0].get("transition") if result.rows else None


def _names(of_rows: dict[str, list[float]]) -> Sequence[str]:
    count = len(next(iter(of_rows.values())))
    return CLASS_NAMES.get(count, [str(number) for number in range(count)])
