"""The figures of a report: small pure functions from counts to SVG."""

from __future__ import annotations

import math

from markupsafe import Markup

from selector.report.cuts import Cut
from selector.report.numerals import count_text, power_text, score_text, share_text
from selector.report.stats import Histogram, LogBins, axis_step
from selector.report.svg import drawing, element, line, rectangle, text

WIDE, NARROW = 760.0, 380.0
"""Widths that a figure is drawn for: letters keep their size on a desk and on a phone."""

_PLOT_HEIGHT = 210.0
_STRIP_HEIGHT = 40.0
_GAP = 26.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 14.0, 30.0, 44.0
_LETTER = 6.2  # about the width of a digit at the size of the labels


def noise_histogram(histogram: Histogram, *, cut: Cut | None, width: float) -> Markup:
    """Images by noise value (log10 axis): pool, the selected of them, and the share selected.

    Args:
        histogram: counts per bin of pool and selection.
        cut: drawn as a line, or as a band if the classes have cuts of their own.
        width: of the drawing; its letters are sized for showing it at about that many pixels.
    """
    plot_width = width - _LEFT - _RIGHT
    bins = histogram.bins
    bottom = _TOP + _PLOT_HEIGHT
    strip_bottom = bottom + _GAP + _STRIP_HEIGHT
    bar_width = plot_width / bins.num_bins
    scale = _PLOT_HEIGHT / (max(int(histogram.pool.max()), 1) * 1.04)
    parts = _cut_band(cut, bins, strip_bottom, plot_width)  # first, so that bars lie upon it
    parts += _count_axis(int(histogram.pool.max()), scale, bottom, width)
    for index in range(bins.num_bins):
        pool, selected = int(histogram.pool[index]), int(histogram.selected[index])
        if not pool:
            continue
        x = _LEFT + index * bar_width
        low, high = bins.range_of(index)
        hint = (
            f"{score_text(low)} to {score_text(high)} nat: {count_text(pool)} images, "
            f"{count_text(selected)} selected ({share_text(selected, pool)})"
        )
        column = [rectangle(x, _TOP, bar_width, strip_bottom - _TOP, css="hover")]
        column += _bar(x, bar_width, bottom, pool * scale, css="pool")
        column += _bar(x, bar_width, bottom, selected * scale, css="selected")
        column += _bar(x, bar_width, strip_bottom, _STRIP_HEIGHT * selected / pool, css="selected")
        parts.append(element("g", {"class": "bin"}, [*column, element("title", None, [hint])]))
    parts += _cut_lines(cut, bins, strip_bottom, plot_width)
    parts += _strip_axis(strip_bottom, width)
    parts += _decade_axis(bins.low, bins.high, strip_bottom, plot_width)
    return drawing(
        parts,
        width=width,
        height=strip_bottom + _BOTTOM,
        label="Histogram of the noise value of the pool's images, the selected ones marked",
        css="wide" if width > NARROW else "narrow",
    )


def paired_bars(pool: float, selected: float, *, largest: float) -> Markup:
    """Two bars, the pool's above the selection's; lengths relative to `largest` (all >= 0)."""
    scale = 100 / largest if largest > 0 else 0.0
    bars = [
        rectangle(0, 0, pool * scale, 5, css="pool"),
        rectangle(0, 6, selected * scale, 5, css="selected"),
    ]
    return _stretched(bars, height=11)


def single_bar(part: float, whole: float, *, css: str) -> Markup:
    """One bar that fills part / whole of its track."""
    share = part / whole if whole > 0 else 0.0
    return _stretched(
        [rectangle(0, 0, 100, 6, css="track"), rectangle(0, 0, 100 * share, 6, css=css)], height=6
    )


def _stretched(children: list[Markup], *, height: int) -> Markup:
    attributes: dict[str, str | int | float] = {
        "viewBox": f"0 0 100 {height}",
        "preserveAspectRatio": "none",
        "class": "bars",
        "aria-hidden": "true",
    }
    return element("svg", attributes, children)


def _bar(x: float, width: float, base: float, height: float, *, css: str) -> list[Markup]:
    """A bar that stands on `base`; whatever is more than nothing can be seen."""
    if height <= 0:
        return []
    height = max(height, 0.75)
    gap = min(1.0, width * 0.15)
    return [rectangle(x + gap / 2, base - height, width - gap, height, css=css)]


def _count_axis(largest: int, scale: float, base: float, width: float) -> list[Markup]:
    parts = [text("images", _LEFT - 8, _TOP - 14, css="label", anchor="end")]
    step = max(axis_step(largest, most=4), 1.0)
    for tick in range(math.floor(largest / step) + 1):
        y = base - tick * step * scale
        parts.append(line(_LEFT, y, width - _RIGHT, y, css="grid" if tick else "axis"))
        label = count_text(int(tick * step))
        parts.append(text(label, _LEFT - 8, y + 4, css="label", anchor="end"))
    return parts


def _strip_axis(base: float, width: float) -> list[Markup]:
    top = base - _STRIP_HEIGHT
    return [
        line(_LEFT, top, width - _RIGHT, top, css="grid"),
        line(_LEFT, base, width - _RIGHT, base, css="axis"),
        text("100 %", _LEFT - 8, top + 4, css="label", anchor="end"),
        text("0 %", _LEFT - 8, base + 4, css="label", anchor="end"),
        text("share selected", _LEFT, top - 6, css="label"),
    ]


def _decade_axis(low: int, high: int, base: float, plot_width: float) -> list[Markup]:
    every = max(1, math.ceil((high - low) / (plot_width / 44)))
    parts = []
    for exponent in range(low, high + 1):
        # Counted from the right, so that 1 nat, where doubt begins, always has its label.
        labelled = (high - exponent) % every == 0
        x = _at(exponent, low, high, plot_width)
        parts.append(line(x, base, x, base + (5 if labelled else 3), css="axis"))
        if labelled:
            parts.append(text(power_text(exponent), x, base + 19, css="label", anchor="middle"))
    name = "noise value V, nats (lower: the teacher is surer)"
    parts.append(text(name, _LEFT + plot_width / 2, base + 38, css="label", anchor="middle"))
    return parts


def _cut_band(cut: Cut | None, bins: LogBins, base: float, plot_width: float) -> list[Markup]:
    if cut is None or cut.num_groups == 1:
        return []
    left, right = _cut_ends(cut, bins, plot_width)
    return [rectangle(left, _TOP, right - left, base - _TOP, css="cut-band")]


def _cut_lines(cut: Cut | None, bins: LogBins, base: float, plot_width: float) -> list[Markup]:
    if cut is None:
        return []
    left, right = _cut_ends(cut, bins, plot_width)
    parts = [line(x, _TOP - 6, x, base, css="cut") for x in sorted({left, right})]
    label = f"cut {score_text(cut.high)}"
    if cut.num_groups > 1:
        label = f"cuts of {cut.num_groups} classes"
    # Kept inside the drawing, whichever side the cut is on.
    half = len(label) * _LETTER / 2
    middle = min(max((left + right) / 2, _LEFT + half), _LEFT + plot_width - half)
    return [*parts, text(label, middle, _TOP - 12, css="cut-label", anchor="middle")]


def _cut_ends(cut: Cut, bins: LogBins, plot_width: float) -> tuple[float, float]:
    exponents = (math.log10(value) if value > 0 else bins.low for value in (cut.low, cut.high))
    left, right = (_at(exponent, bins.low, bins.high, plot_width) for exponent in exponents)
    return left, right


def _at(exponent: float, low: int, high: int, plot_width: float) -> float:
    """x of a power of ten, kept inside the plot."""
    share = (exponent - low) / (high - low)
    return _LEFT + plot_width * min(max(share, 0.0), 1.0)
