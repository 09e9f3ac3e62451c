"""bench.html: the limits as bars, the engine as a line across them; one file, no network."""

from __future__ import annotations

import math
from importlib.resources import files

import jinja2
from markupsafe import Markup

from cluster.speed.report import NAMES, BenchReport, Comparison
from selector.report.svg import drawing, element, rectangle, text
from shards import atomic

_WIDTH, _ROW, _LEFT, _RIGHT = 860, 34, 290, 90


def write_page(uri: str, report: BenchReport, comparison: Comparison | None) -> None:
    """Write the page.

    Raises:
        StorageError: it cannot be written.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(
        files("cluster.speed").joinpath("page.html").read_text(encoding="utf-8")
    )
    low, high = report.efficiency.interval
    page = template.render(
        report=report,
        told=report.workload,
        names=NAMES,
        roofline=roofline(report),
        efficiency=f"{report.efficiency.median:.1%}",
        interval=f"{low:.1%} to {high:.1%}",
        comparison=comparison,
    )
    atomic.write_bytes(uri, page.encode())


def roofline(report: BenchReport) -> Markup:
    """A bar for each limit on a logarithmic scale, and the engine's rate as a line across them."""
    rates = {name: one.median for name, one in report.limits.items()}
    least = min([*rates.values(), report.engine.median]) / 2
    scale = _Scale(least, max(rates.values()) * 1.1)
    height = _ROW * len(rates) + 60
    shapes: list[Markup] = []
    for number, (name, rate) in enumerate(rates.items()):
        y = 30 + number * _ROW
        css = "bar bound" if name == report.bound_by else "bar"
        low, high = report.limits[name].interval
        hint = f"{NAMES[name]}: {rate:,.0f} images/s ({low:,.0f} to {high:,.0f})"
        shapes.append(rectangle(_LEFT, y, scale(rate) - _LEFT, _ROW - 12, css=css, hint=hint))
        shapes.append(text(NAMES[name], _LEFT - 10, y + 15, css="name", anchor="end"))
        shapes.append(text(f"{rate:,.0f}", scale(rate) + 6, y + 15, css="value"))
    x = scale(report.engine.median)
    line: dict[str, str | int | float] = {
        "x1": x, "x2": x, "y1": 20, "y2": height - 30, "class": "engine"
    }  # fmt: skip
    shapes.append(element("line", line))
    told = f"the engine: {report.engine.median:,.0f}"
    shapes.append(text(told, x, height - 12, css="value", anchor="middle"))
    label = "Limits of the machine and the rate of the engine, images per second, logarithmic"
    return drawing(shapes, width=_WIDTH, height=height, label=label, css="roofline")


class _Scale:
    """Images/s -> pixels from the left, logarithmic."""

    def __init__(self, least: float, most: float) -> None:
        self._least, self._span = least, math.log(most / least)

    def __call__(self, rate: float) -> float:
        share = math.log(rate / self._least) / self._span
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)
