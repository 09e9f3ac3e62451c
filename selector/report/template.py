"""Templates of the report: every string in them is escaped, and a name they lack is an error."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from selector.report.numerals import bytes_text, count_text, score_text, share_text
from shards import storage


def packaged(name: str) -> str:
    """A file of this package: a template, style sheet or script."""
    return resources.files("selector.report").joinpath(name).read_text(encoding="utf-8")


def fill(template: str, **values: Any) -> Markup:
    """Fill a template, such as "panels/noise.html".

    Filters: count (1,234), share(whole) (12.5 %), score (three digits), bytes (7.1 MB), name (last
    part of a path).
    """
    return Markup(_environment().get_template(template).render(values))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(packaged),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count_text, share=share_text, score=score_text, bytes=bytes_text, name=storage.name
    )
    return environment
