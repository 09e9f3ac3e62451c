"""Panel: who made the facts, by which recipe, from which tables."""

from __future__ import annotations

from markupsafe import Markup

from selector.report.album import Album
from selector.report.facts import RunFacts
from selector.report.panel import Panel
from selector.report.source import Source
from selector.report.template import fill


def gather_origin(source: Source) -> RunFacts:
    """Known already."""
    return source.facts


def draw_origin(facts: RunFacts, _: Album) -> Markup:
    """A list of names and fingerprints."""
    return fill("panels/origin.html", facts=facts)


PANEL = Panel("origin", "Provenance", gather_origin, draw_origin)
