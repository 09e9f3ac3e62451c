"""The figures: bars of a table, accuracy against number, grids of numbers as heat maps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from markupsafe import Markup

from benchmarks.results_page.drawing import (
    BLUE,
    GREY,
    GRID,
    INK,
    LETTER,
    MUTED,
    ORANGE,
    box,
    figure,
    shade,
    stroke,
    ticks,
    words,
)
from benchmarks.results_page.rows import Result, Section
from selector.report.svg import element

WIDTH = 760.0


def bars(section: Section) -> str | None:
    """Mean accuracy of every arm that was run, its seeds as dots; None if there is none."""
    ran = [result for result in section.results if result.rows]
    if not ran:
        return None
    left = 20 + LETTER * max(len(result.arm.title) for result in ran)
    top, step, right = 34.0, 24.0, 60.0
    bottom = top + step * len(ran)
    everything = [value for result in ran for value in result.values]
    lines = {"teacher": section.teacher, "KD on real images": section.real_kd}
    known = {name: value for name, value in lines.items() if value is not None}
    axis = ticks(min([*everything, *known.values()]) - 1, max([*everything, *known.values()]))
    scale = (WIDTH - left - right) / (axis[-1] - axis[0])

    def at(value: float) -> float:
        return left + (value - axis[0]) * scale

    parts: list[Markup] = []
    for tick in axis:
        parts.append(stroke(at(tick), top - 4, at(tick), bottom, colour=GRID))
        parts.append(words(f"{tick:g}", at(tick), bottom + 14, anchor="middle", fill=MUTED))
    parts.append(
        words(
            "accuracy of the last step, % (the axis does not begin at 0)",
            left,
            bottom + 30,
            fill=MUTED,
        )
    )
    for name, value in known.items():
        parts.append(stroke(at(value), top - 8, at(value), bottom, colour=ORANGE, width=1.5))
        anchor = "end" if name == "teacher" else "middle"
        parts.append(words(f"{name} {value:.1f}", at(value), top - 14, anchor=anchor, fill=ORANGE))
    for number, result in enumerate(ran):
        middle = top + step * (number + 0.5)
        assert result.mean is not None
        parts.append(words(result.arm.title, left - 8, middle + 4, anchor="end"))
        parts.append(box(left, middle - 7, at(result.mean) - left, 14, fill=BLUE))
        for value in result.values:
            parts.append(element("circle", {"cx": at(value), "cy": middle, "r": 2.5, "fill": INK}))
        end = max(at(result.mean), *(at(value) for value in result.values)) + 6
        parts.append(words(f"{result.mean:.1f}", end, middle + 4, fill=MUTED))
    label = f"{section.table.title}: {section.setting}"
    return figure(parts, width=WIDTH, height=bottom + 40, label=label)


def lines(series: Mapping[str, Sequence[Result]], *, label: str) -> str | None:
    """Accuracy against the number of images selected (log axis), one line a kind of selection."""
    points = {
        name: [
            (result.rows[-1]["images"], result.mean, result.values)
            for result in results
            if result.rows and result.mean is not None
        ]
        for name, results in series.items()
    }
    flat = [point for found in points.values() for point in found]
    if len(flat) < 2:
        return None
    height, left, right, top, bottom = 320.0, 50.0, 90.0, 20.0, 270.0
    axis = ticks(min(min(p[2]) for p in flat), max(max(p[2]) for p in flat))
    numbers = sorted({point[0] for point in flat})
    low, high = math.log(numbers[0]), math.log(max(numbers[-1], numbers[0] + 1))

    def at(number: float, value: float) -> tuple[float, float]:
        x = left + (math.log(number) - low) / (high - low) * (WIDTH - left - right)
        return x, bottom - (value - axis[0]) / (axis[-1] - axis[0]) * (bottom - top)

    parts: list[Markup] = []
    for tick in axis:
        _, y = at(numbers[0], tick)
        parts.append(stroke(left, y, WIDTH - right, y, colour=GRID))
        parts.append(words(f"{tick:g}", left - 8, y + 4, anchor="end", fill=MUTED))
    for number in numbers:
        parts.append(
            words(f"{number:,}", at(number, 0)[0], bottom + 18, anchor="middle", fill=MUTED)
        )
    parts.append(
        words("images selected; accuracy of the last step, %", left, bottom + 38, fill=MUTED)
    )
    for (name, found), colour in zip(points.items(), (BLUE, ORANGE, GREY), strict=False):
        ordered = sorted(found)
        for (a, mean_a, _), (b, mean_b, _) in pairwise(ordered):
            parts.append(stroke(*at(a, mean_a), *at(b, mean_b), colour=colour, width=2))
        for number, _, values in ordered:
            for value in values:
                x, y = at(number, value)
                parts.append(element("circle", {"cx": x, "cy": y, "r": 3, "fill": colour}))
        if ordered:
            x, y = at(ordered[-1][0], ordered[-1][1])
            parts.append(words(name, x + 8, y + 4, fill=colour, bold=True))
    return figure(parts, width=WIDTH, height=height, label=label)


def grid(
    values: Sequence[Sequence[float]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    written: Sequence[Sequence[str]],
    label: str,
    note: str,
    largest: float | None = None,
) -> str:
    """Numbers as a heat map, each also written.

    Args:
        values: (rows, columns), darkest at `largest` (None = the largest of them).
        note: what the numbers are, under the drawing.
    """
    left = 16 + LETTER * max(map(len, rows))
    cell = max((WIDTH - left - 10) / len(columns), LETTER * max(map(len, columns)) + 8)
    width, top = left + cell * len(columns) + 10, 26.0
    cell_height = 22.0
    most = largest or max(max(row) for row in values) or 1.0
    parts = [
        words(name, left + cell * (number + 0.5), top - 8, anchor="middle", fill=MUTED)
        for number, name in enumerate(columns)
    ]
    for y, (name, row, texts) in enumerate(zip(rows, values, written, strict=True)):
        parts.append(words(name, left - 8, top + cell_height * (y + 0.5) + 4, anchor="end"))
        for x, (value, text) in enumerate(zip(row, texts, strict=True)):
            corner = left + cell * x, top + cell_height * y
            share = value / most
            parts.append(box(*corner, cell - 1, cell_height - 1, fill=shade(share)))
            ink = "#ffffff" if share > 0.55 else INK
            middle = corner[0] + cell / 2
            parts.append(
                words(text, middle, corner[1] + cell_height / 2 + 4, anchor="middle", fill=ink)
            )
    bottom = top + cell_height * len(rows)
    parts.append(words(note, left, bottom + 18, fill=MUTED))
    return figure(parts, width=width, height=bottom + 28, label=label)
