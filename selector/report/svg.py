"""Drawing in SVG by hand: one function makes an element, and every string in it is escaped.

Colours are never given here but by the class of an element, so that one style sheet serves light
and dark, and a strict content policy need not allow `style` attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

Attribute = str | int | float


def element(
    name: str,
    attributes: Mapping[str, Attribute] | None = None,
    children: Sequence[Markup | str] = (),
) -> Markup:
    """`<name attribute="...">children</name>`; strings are escaped, Markup is taken as it is.

    Floats are written with at most two decimals: a hundredth of a pixel is invisible.
    """
    written = "".join(
        f' {key}="{escape(_plain(value))}"' for key, value in (attributes or {}).items()
    )
    inner = "".join(str(escape(child)) for child in children)
    return Markup(f"<{name}{written}>{inner}</{name}>")


def drawing(
    children: Sequence[Markup | str], *, width: float, height: float, label: str, css: str
) -> Markup:
    """The outer `<svg>`: scales to the width it is given, and tells screen readers `label`."""
    attributes: dict[str, Attribute] = {
        "viewBox": f"0 0 {_plain(width)} {_plain(height)}",
        "class": css,
        "role": "img",
        "aria-label": label,
    }
    return element("svg", attributes, children)


def text(content: str, x: float, y: float, *, css: str, anchor: str = "start") -> Markup:
    """A line of text at (x, y), its baseline; anchor start, middle or end."""
    attributes: dict[str, Attribute] = {"x": x, "y": y, "class": css, "text-anchor": anchor}
    return element("text", attributes, [content])


def rectangle(
    x: float, y: float, width: float, height: float, *, css: str, hint: str = ""
) -> Markup:
    """A filled rectangle; `hint` is shown when the pointer rests on it."""
    attributes: dict[str, Attribute] = {
        "x": x,
        "y": y,
        "width": max(width, 0.0),
        "height": max(height, 0.0),
        "class": css,
    }
    return element("rect", attributes, [element("title", None, [hint])] if hint else [])


def line(x1: float, y1: float, x2: float, y2: float, *, css: str) -> Markup:
    """A straight line."""
    attributes: dict[str, Attribute] = {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": css}
    return element("line", attributes)


def _plain(value: Attribute) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"
    return str(value)
