"""What every figure is drawn with: colours, text, and an SVG that stands alone on white."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from selector.report.svg import element

INK, MUTED, GRID = "#1f2328", "#656d76", "#d8dee4"
BLUE, ORANGE, GREY = "#0969da", "#bc4c00", "#afb8c1"
LETTER = 6.3
"""About the width of a letter of 11 px."""


def figure(children: Sequence[Markup], *, width: float, height: float, label: str) -> str:
    """A whole file: `label` is read aloud in its place. The same input gives the same bytes."""
    background = element("rect", {"width": width, "height": height, "fill": "#ffffff"})
    return (
        str(
            element(
                "svg",
                {
                    "xmlns": "http://www.w3.org/2000/svg",
                    "viewBox": f"0 0 {width:g} {height:g}",
                    "width": width,
                    "role": "img",
                    "aria-label": label,
                    "font-family": "system-ui, sans-serif",
                    "font-size": 11,
                },
                [background, *(Markup("\n") + child for child in children), Markup("\n")],
            )
        )
        + "\n"
    )


def words(
    content: str, x: float, y: float, *, anchor: str = "start", fill: str = INK, bold: bool = False
) -> Markup:
    """A line of text; (x, y) is on its baseline."""
    attributes: dict[str, str | float] = {"x": x, "y": y, "text-anchor": anchor, "fill": fill}
    if bold:
        attributes["font-weight"] = "600"
    return element("text", attributes, [content])


def box(x: float, y: float, width: float, height: float, *, fill: str) -> Markup:
    return element("rect", {"x": x, "y": y, "width": width, "height": height, "fill": fill})


def stroke(x1: float, y1: float, x2: float, y2: float, *, colour: str, width: float = 1) -> Markup:
    return element(
        "line",
        {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "stroke": colour, "stroke-width": width},
    )


def shade(share: float) -> str:
    """White at 0, blue at 1."""
    share = min(max(share, 0.0), 1.0)
    ends = ((255, 9), (255, 105), (255, 218))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in ends)


def ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Round numbers from at most `low` to at least `high`."""
    for step in (0.5, 1, 2, 5, 10, 20, 50):
        first, last = low // step, -(-high // step)
        if last - first <= most:
            break
    return [step * number for number in range(int(first), int(last) + 1)]
