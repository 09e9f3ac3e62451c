"""The figure of PU scores: how the pool, the positives and the held-out positives lie on F."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from markupsafe import Markup

from selector.report.figures import NARROW
from selector.report.numerals import count_text, score_text, share_text
from selector.report.stats import axis_step
from selector.report.svg import drawing, element, line, rectangle, text

_LEFT, _RIGHT, _TOP, _BOTTOM, _HEIGHT = 58.0, 14.0, 30.0, 44.0, 210.0
LINES = (("positives", "series-2"), ("held_out", "series-3"))


def score_histogram(
    edges: Sequence[float],
    pool: Sequence[int],
    lines: dict[str, Sequence[int]],
    *,
    width: float,
) -> Markup:
    """Shares of each set by F: the pool as bars, positives and held-out positives as steps.

    Shares, not counts: a hundred positives would not be seen beside a million images.

    Args:
        edges: n + 1 ends of the bins, rising.
        pool: n counts.
        lines: `positives` and `held_out`, n counts each; those that are empty are left out.
        width: of the drawing.
    """
    plot = width - _LEFT - _RIGHT
    base = _TOP + _HEIGHT
    shares = {name: _shares(counts) for name, counts in lines.items() if sum(counts)}
    pool_shares = _shares(pool)
    largest = max(max(values, default=0.0) for values in (pool_shares, *shares.values()))
    scale = _HEIGHT / (largest * 1.04) if largest > 0 else 0.0

    def at(value: float) -> float:
        return _LEFT + plot * (value - edges[0]) / (edges[-1] - edges[0])

    parts = _share_axis(largest, scale, base, width)
    for (left, right), share, count in zip(pairwise(edges), pool_shares, pool, strict=True):
        hint = (
            f"F {score_text(left)} to {score_text(right)}: {count_text(count)} images of the pool"
        )
        width_of_bar = max(at(right) - at(left) - 0.5, 0.5)
        height = max(share * scale, 0.75) if count else 0.0
        parts.append(
            rectangle(at(left), base - height, width_of_bar, height, css="pool", hint=hint)
        )
    for name, css in LINES:
        if name in shares:
            steps = [
                f"{at(x):.1f},{base - share * scale:.1f}"
                for (left, right), share in zip(pairwise(edges), shares[name], strict=True)
                for x in (left, right)
            ]
            parts.append(element("path", {"d": "M" + " L".join(steps), "class": css}))
    parts += _score_axis(edges, base, at_zero=at(0.0) if edges[0] < 0 < edges[-1] else None, at=at)
    return drawing(
        parts,
        width=width,
        height=base + _BOTTOM,
        label="Histogram of the PU score of the pool, the positives and the held-out positives",
        css="wide" if width > NARROW else "narrow",
    )


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def _share_axis(largest: float, scale: float, base: float, width: float) -> list[Markup]:
    parts = [text("share", _LEFT - 8, _TOP - 14, css="label", anchor="end")]
    step = axis_step(largest, most=4)
    tick = 0.0
    while step > 0 and tick <= largest * (1 + 1e-9):
        y = base - tick * scale
        parts.append(line(_LEFT, y, width - _RIGHT, y, css="grid" if tick else "axis"))
        parts.append(text(share_text(tick, 1), _LEFT - 8, y + 4, css="label", anchor="end"))
        tick += step
    return parts


def _score_axis(
    edges: Sequence[float], base: float, *, at_zero: float | None, at: Callable[[float], float]
) -> list[Markup]:
    step = axis_step(edges[-1] - edges[0], most=6)
    parts = []
    tick = -(-edges[0] // step) * step if step > 0 else edges[0]
    while step > 0 and tick <= edges[-1]:
        parts.append(line(at(tick), base, at(tick), base + 4, css="axis"))
        parts.append(text(f"{tick:g}", at(tick), base + 18, css="label", anchor="middle"))
        tick = round(tick + step, 10)
    if at_zero is not None:
        parts.append(line(at_zero, _TOP - 6, at_zero, base, css="cut"))
        parts.append(text("F = 0", at_zero, _TOP - 12, css="cut-label", anchor="middle"))
    middle = (at(edges[0]) + at(edges[-1])) / 2
    name = "PU score F (above 0: of the teacher's domain)"
    return [*parts, text(name, middle, base + 37, css="label", anchor="middle")]
